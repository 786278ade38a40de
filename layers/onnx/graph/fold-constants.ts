import { InferenceSession, Tensor } from 'onnxruntime-node'
import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { tensorSize } from '../codec/tensor-values.ts'
import { encodeModel } from '../codec/write-model.ts'
import { fromTensor } from '../evaluate/session-tensors.ts'
import { makeTensor } from './build.ts'
import { dropUnused, nameSource } from './edit.ts'
import { constantTensor, type GraphIndex, indexGraph, isPlain, topologicalOrder } from './index-graph.ts'
import { settleIrVersion } from './opsets.ts'
import { mainGraph, subGraphs } from './walk.ts'

/** Operators that answer something else every time. */
const random = new Set('Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike'.split(' '))
/** A folded value may be this much larger than what it is made of: a few numbers that an Expand spreads out stay few. */
const MOST_GROWTH_BYTES = 4096

const types: Readonly<Record<string, number>> = {
  float32: DataType.FLOAT,
  float64: DataType.DOUBLE,
  float16: DataType.FLOAT16,
  int64: DataType.INT64,
  int32: DataType.INT32,
  int16: DataType.INT16,
  int8: DataType.INT8,
  uint64: DataType.UINT64,
  uint32: DataType.UINT32,
  uint16: DataType.UINT16,
  uint8: DataType.UINT8,
  bool: DataType.BOOL,
}

/**
 * Computes once what depends on stored tensors alone, by onnxruntime itself, and stores the results; what is then unused goes. Random
 * operators, those with sub-graphs, results much larger than what they are made of and values that the graph answers stay as they are.
 * Runs parts of the model in this process, which for foreign models must be one that may die. Changes the outermost graph of `model`.
 * Answers how many values were folded.
 */
export async function foldConstants(model: ModelProto): Promise<number> {
  const graph = mainGraph(model)
  const index = indexGraph(graph, { ir_version: model.ir_version })
  const folding = foldable(index)
  const wanted = [...folding.values()].flatMap((node) => node.output.filter((name) => isRead(index, folding, name)))
  if (wanted.length === 0) return 0
  const results = await computed(model, index, new Set(folding.values()), wanted)
  const gone = new Set(results.map(({ name }) => name))
  // Whatever still reads a folded value reads the stored one; its node answers to a name that nobody asks for.
  const fresh = nameSource(model)
  for (const node of new Set(folding.values()))
    node.output = node.output.map((name) => (gone.has(name) ? fresh(`${name}_computed`) : name))
  graph.initializer.push(...results)
  dropUnused(model)
  settleIrVersion(model)
  return results.length
}

/** Nodes that need nothing but stored tensors, by the values they make. */
function foldable(index: GraphIndex): Map<string, NodeProto> {
  const folding = new Map<string, NodeProto>()
  for (const node of topologicalOrder(index.graph)) {
    if (isPlain(node, 'Constant') || random.has(node.op_type ?? '') || subGraphs(node).length > 0) continue
    const known = node.input.every((name) => name === '' || folding.has(name) || constantTensor(index, name) !== undefined)
    const shown = node.output.some((name) => index.outputs.has(name))
    if (known && !shown && isPlain(node, node.op_type ?? ''))
      for (const name of node.output) if (name !== '') folding.set(name, node)
  }
  return folding
}

/** Whether somebody who is not folded away reads a value. */
const isRead = (index: GraphIndex, folding: ReadonlyMap<string, NodeProto>, name: string): boolean =>
  (index.uses.get(name) ?? []).some(({ node, input }) => input < 0 || !node.output.some((output) => folding.get(output) === node))

async function computed(
  model: ModelProto,
  index: GraphIndex,
  nodes: ReadonlySet<NodeProto>,
  wanted: string[],
): Promise<TensorProto[]> {
  const graph = mainGraph(model)
  const part: ModelProto = {
    ...model,
    graph: {
      ...graph,
      node: graph.node.filter((node) => nodes.has(node) || isPlain(node, 'Constant')),
      input: [],
      output: wanted.map((name) => ({ name, metadata_props: [] })),
      value_info: [],
    },
  }
  dropUnused(part)
  const session = await InferenceSession.create(encodeModel(part), {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  })
  try {
    const answer = await session.run({})
    return wanted.flatMap((name) => {
      const tensor = answer[name]
      return tensor instanceof Tensor ? (stored(name, tensor, sourceBytes(index, name)) ?? []) : []
    })
  } finally {
    await session.release()
  }
}

/** Bytes of the stored tensors a value is made of. */
function sourceBytes(index: GraphIndex, name: string, seen = new Set<string>()): number {
  if (seen.has(name)) return 0
  seen.add(name)
  const tensor = name === '' ? undefined : constantTensor(index, name)
  if (tensor) return tensorSize(tensor)
  return (index.producers.get(name)?.input ?? []).reduce((sum, input) => sum + sourceBytes(index, input, seen), 0)
}

function stored(name: string, tensor: Tensor, source_bytes: number): TensorProto | undefined {
  const data_type = types[tensor.type]
  const value = fromTensor(tensor)
  if (data_type === undefined || !('bytes' in value) || value.bytes.length > source_bytes + MOST_GROWTH_BYTES) return undefined
  return makeTensor(name, value.dims, value.bytes.slice(), data_type)
}
