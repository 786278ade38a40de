import { DataType } from '../codec/data-types.ts'
import type { GraphProto, ModelProto } from '../codec/schema.ts'
import { toTensor } from '../evaluate/session-tensors.ts'
import type { TensorValue } from '../evaluate/tensors.ts'
import { makeValueInfo } from '../graph/build.ts'
import { mainGraph } from '../graph/walk.ts'
import { inferShapes } from '../inspect/infer-shapes.ts'
import { openSession } from './session.ts'

/** What differentiation needs to know of a value. */
export interface ValueFacts {
  shape: readonly number[]
  /** Of small whole-number constants and computed shapes. */
  numbers?: readonly number[] | undefined
}

/** The model's inputs with these shapes instead of the declared ones; types stay. */
export const withInputShapes = (model: ModelProto, shapes: Readonly<Record<string, readonly number[]>>): ModelProto => {
  const graph = mainGraph(model)
  const input = graph.input.map((value) => {
    const shape = Object.hasOwn(shapes, value.name ?? '') ? shapes[value.name ?? ''] : undefined
    return shape ? makeValueInfo(value.name ?? '', value.type?.tensor_type?.elem_type ?? DataType.FLOAT, shape) : value
  })
  // Declared shapes of outputs and inner values are of the old batch.
  const output = graph.output.map((value) =>
    makeValueInfo(value.name ?? '', value.type?.tensor_type?.elem_type ?? DataType.FLOAT),
  )
  return { ...model, graph: { ...graph, input, output, value_info: [] } }
}

const unknownValues = (graph: GraphProto, known: ReadonlyMap<string, { shape?: number[] | undefined }>): string[] =>
  graph.node.flatMap((node) => node.output).filter((name) => name !== '' && !known.get(name)?.shape)

/**
 * Shapes of all values of the main graph for these feeds: by the operators' shape rules, and where those cannot tell by one run
 * with the unknown values as outputs. Runs in this process, which for foreign models must be one that may die.
 */
export const valueFacts = async (
  model: ModelProto,
  feeds: Readonly<Record<string, TensorValue>>,
): Promise<Map<string, ValueFacts>> => {
  const shapes = Object.fromEntries(Object.entries(feeds).map(([name, { dims }]) => [name, dims]))
  const fixed = withInputShapes(model, shapes)
  const graph = mainGraph(fixed)
  const facts = new Map<string, ValueFacts>()
  const inferred = inferShapes(fixed)
  for (const [name, { shape, numbers }] of inferred) if (shape) facts.set(name, { shape, numbers })
  for (const tensor of graph.initializer) if (!facts.has(tensor.name ?? '')) facts.set(tensor.name ?? '', { shape: tensor.dims })
  const missing = unknownValues(graph, inferred)
  if (missing.length === 0) return facts
  for (const [name, shape] of await tappedShapes(fixed, missing, feeds)) facts.set(name, { shape })
  return facts
}

/** Outputs need no declared type: the runtime infers it. Values that are no tensors are left out. */
const tappedShapes = async (
  model: ModelProto,
  names: readonly string[],
  feeds: Readonly<Record<string, TensorValue>>,
): Promise<Map<string, readonly number[]>> => {
  const output = names.map((name) => ({ name, metadata_props: [] }))
  const session = await openSession({ ...model, graph: { ...mainGraph(model), output } }, { level: 'disabled' })
  try {
    const tensors = Object.fromEntries(Object.entries(feeds).map(([name, value]) => [name, toTensor(value)]))
    const answer = await session.run(tensors)
    return new Map(names.map((name) => [name, [...(answer[name]?.dims ?? [])]]))
  } finally {
    await session.release()
  }
}
