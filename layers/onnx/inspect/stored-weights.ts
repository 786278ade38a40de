import { DataType } from '../codec/data-types.ts'
import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { elementCount, tensorSize } from '../codec/tensor-values.ts'
import { attributeOf, intAttribute } from '../graph/attributes.ts'
import { constantTensor, type GraphIndex, indexGraph, isPlain } from '../graph/index-graph.ts'
import { plainDomain } from '../graph/opsets.ts'
import { mainGraph, subGraphs } from '../graph/walk.ts'

export interface StoredWeights {
  elements: number
  bytes: number
  /** Output channels (rows of an embedding), over all of them: as many scales as 8-bit weights need. */
  channels: number
}

/** Smaller tensors are biases, factors and limits, which no method stores in fewer bits. */
export const LEAST_WEIGHT = 1024

/** Where an operator's weights are among its inputs; for others, whatever large tensor it reads counts as its own. */
const weightInputs: Readonly<Record<string, readonly number[]>> = {
  ...{ MatMul: [0, 1], Gemm: [0, 1], Conv: [1], ConvTranspose: [1], Gather: [0] },
  ...{ LSTM: [1, 2], GRU: [1, 2], RNN: [1, 2] },
}

const notTrained: ReadonlySet<number> = new Set([DataType.INT64, DataType.INT32, DataType.BOOL, DataType.STRING])

/** A number type that somebody trained; shapes, axes and flags are stored too. */
const isTrained = ({ data_type = 0 }: TensorProto): boolean => !notTrained.has(data_type)

const readerName = (node: NodeProto, { dims }: TensorProto): string => {
  const domain = plainDomain(node.domain)
  const name = domain === '' ? (node.op_type ?? '') : `${domain}.${node.op_type ?? ''}`
  return name === 'Conv' && intAttribute(node, 'group', 1) > 1 && dims[1] === 1 ? 'DepthwiseConv' : name
}

const channelsOf = (node: NodeProto, { dims }: TensorProto): number => {
  const last = node.op_type === 'MatMul' || (node.op_type === 'Gemm' && intAttribute(node, 'transB', 0) === 0)
  return (last ? dims.at(-1) : dims[0]) ?? 1
}

/**
 * Stored tensors of 1,024 elements and more by the operator that reads them first, sub-graphs and Constant nodes included; the rest is
 * `other`. Sizes alone: nothing of their data is read.
 */
export function storedWeights(model: ModelProto): Record<string, StoredWeights> {
  const found: Record<string, StoredWeights> = {}
  const seen = new Set<TensorProto>()
  const add = (name: string, tensor: TensorProto, channels: number): void => {
    if (seen.has(tensor) || !isTrained(tensor)) return
    seen.add(tensor)
    const sum = found[name] ?? { elements: 0, bytes: 0, channels: 0 }
    found[name] = sum
    sum.elements += elementCount(tensor.dims)
    sum.bytes += tensorSize(tensor)
    sum.channels += channels
  }
  for (const index of indexes(mainGraph(model), model.ir_version)) {
    for (const node of index.graph.node)
      for (const tensor of weightsOf(index, node))
        if (elementCount(tensor.dims) >= LEAST_WEIGHT) add(readerName(node, tensor), tensor, channelsOf(node, tensor))
  }
  for (const index of indexes(mainGraph(model), model.ir_version)) for (const tensor of allStored(index)) add('other', tensor, 0)
  return found
}

function weightsOf(index: GraphIndex, node: NodeProto): TensorProto[] {
  const known = plainDomain(node.domain) === '' ? weightInputs[node.op_type ?? ''] : undefined
  const inputs = known ? known.map((at) => node.input[at] ?? '') : node.input
  return inputs.flatMap((name) => (name === '' ? [] : (constantTensor(index, name) ?? [])))
}

function allStored({ graph, initializers }: GraphIndex): TensorProto[] {
  const constants = graph.node.flatMap((node) => (isPlain(node, 'Constant') ? (attributeOf(node, 'value')?.t ?? []) : []))
  return [...initializers.values(), ...constants, ...graph.sparse_initializer.flatMap(({ values }) => values ?? [])]
}

function* indexes(graph: GraphProto, ir_version: number | undefined, outer?: GraphIndex): Generator<GraphIndex> {
  const index = indexGraph(graph, outer ? { ir_version, outer } : { ir_version })
  yield index
  for (const node of graph.node) for (const inner of subGraphs(node)) yield* indexes(inner, ir_version, index)
}
