import { DataType } from '../codec/data-types.ts'
import type { GraphProto, ModelProto, NodeProto, TypeProto } from '../codec/schema.ts'
import { elementCount, tensorNumbers } from '../codec/tensor-values.ts'
import { constantTensor, indexGraph, topologicalOrder } from '../graph/index-graph.ts'
import { plainDomain } from '../graph/opsets.ts'
import { mainGraph } from '../graph/walk.ts'
import { rules } from './shape-rules.ts'

/** What is known of one value: its shape, and its numbers where they are whole and few (shapes that the graph computes). */
export interface ValueFacts {
  shape?: number[] | undefined
  numbers?: number[] | undefined
}

/** Facts of a node's outputs from those of its inputs (absent: unknown or omitted); undefined when it cannot tell. */
export type ShapeRule = (
  node: NodeProto,
  inputs: (ValueFacts | undefined)[],
  opset: number,
) => (ValueFacts | undefined)[] | undefined

/** Longer lists of numbers are weights, not shapes. */
const FEW_NUMBERS = 256
const MAX_RANK = 64

const wholeTypes: ReadonlySet<number> = new Set([DataType.INT64, DataType.INT32])

const plausible = (facts: ValueFacts | undefined): facts is ValueFacts =>
  facts?.shape !== undefined &&
  facts.shape.length <= MAX_RANK &&
  facts.shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0)

const declaredShape = (type: TypeProto | undefined, free: (axis: number) => number): number[] | undefined =>
  type?.tensor_type?.shape?.dim.map((dim, axis) =>
    dim.dim_value === undefined || dim.dim_value < 0 ? free(axis) : dim.dim_value,
  )

/** Facts of a stored tensor. */
const storedFacts = (index: ReturnType<typeof indexGraph>, name: string): ValueFacts | undefined => {
  const tensor = constantTensor(index, name)
  if (!tensor) return undefined
  const few = wholeTypes.has(tensor.data_type ?? 0) && elementCount(tensor.dims) <= FEW_NUMBERS
  const scales = tensor.data_type === DataType.FLOAT && elementCount(tensor.dims) <= 8
  return { shape: tensor.dims, numbers: few || scales ? tensorNumbers(tensor) : undefined }
}

/**
 * Shapes of the values of the main graph, as far as its operators' rules go, with free dimensions of the inputs at 1 (or as
 * `free` says). Values that sub-graphs compute, and what depends on data, stay unknown.
 */
export const inferShapes = (
  model: ModelProto,
  free: (input: string, axis: number) => number = () => 1,
): Map<string, ValueFacts> => {
  const graph = mainGraph(model)
  const opset = model.opset_import.find((each) => plainDomain(each.domain) === '')?.version ?? 1
  const facts = inputFacts(graph, free)
  const index = indexGraph(graph, { ir_version: model.ir_version })
  const known = (name: string): ValueFacts | undefined => {
    if (name === '') return undefined
    const have = facts.get(name) ?? storedFacts(index, name)
    if (have) facts.set(name, have)
    return have
  }
  for (const node of topologicalOrder(graph)) {
    const domain = plainDomain(node.domain)
    const rule = domain === '' && Object.hasOwn(rules, node.op_type ?? '') ? rules[node.op_type ?? ''] : undefined
    const inferred = rule?.(node, node.input.map(known), opset)
    node.output.forEach((name, at) => {
      const found = inferred?.[at]
      if (name !== '' && plausible(found)) facts.set(name, limited(found))
    })
  }
  return facts
}

const limited = (facts: ValueFacts): ValueFacts =>
  facts.numbers && facts.numbers.length > FEW_NUMBERS ? { shape: facts.shape } : facts

const inputFacts = (graph: GraphProto, free: (input: string, axis: number) => number): Map<string, ValueFacts> => {
  const stored = new Set(graph.initializer.map((tensor) => tensor.name))
  const facts = new Map<string, ValueFacts>()
  for (const input of graph.input) {
    const name = input.name ?? ''
    const shape = stored.has(input.name) ? undefined : declaredShape(input.type, (axis) => free(name, axis))
    if (shape) facts.set(name, { shape })
  }
  return facts
}
