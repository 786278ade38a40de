import { DataType } from '../codec/data-types.ts'
import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { resolveTensor, tensorFloats } from '../codec/tensor-values.ts'
import { intAttribute, withoutAttributes } from '../graph/attributes.ts'
import { makeNode, makeTensor } from '../graph/build.ts'
import { nameSource } from '../graph/edit.ts'
import { isPlain } from '../graph/index-graph.ts'
import { mainGraph } from '../graph/walk.ts'
import { factorized, type Matrix, matrixOf, transposed } from './factorize.ts'

/** Kernels work in blocks of eight columns. */
const MULTIPLE = 8
/** Smaller sides leave nothing to save. */
const LEAST_SIDE = 16

/** The rank that keeps `share` of the layer's weights, or undefined where two factors would not be smaller. */
const rankFor = (rows: number, columns: number, share: number): number | undefined => {
  if (Math.min(rows, columns) < LEAST_SIDE) return undefined
  const rank = Math.max(MULTIPLE, Math.floor((share * rows * columns) / (rows + columns) / MULTIPLE) * MULTIPLE)
  return rank * (rows + columns) < rows * columns ? rank : undefined
}

/** The stored matrix a node multiplies its first input by, as [inputs, outputs]; undefined for all else. */
const storedMatrix = (node: NodeProto, weights: ReadonlyMap<string, TensorProto>): Matrix | undefined => {
  const gemm = isPlain(node, 'Gemm') && intAttribute(node, 'transA', 0) === 0
  if (!gemm && !isPlain(node, 'MatMul')) return undefined
  const tensor = weights.get(node.input[1] ?? '')
  if (tensor?.data_type !== DataType.FLOAT || tensor.dims.length !== 2) return undefined
  const stored = matrixOf(tensor.dims[0]!, tensor.dims[1]!, tensorFloats(resolveTensor(tensor)))
  return gemm && intAttribute(node, 'transB', 0) === 1 ? transposed(stored) : stored
}

/**
 * Splits every large stored matrix of Gemm and MatMul into two thin ones that together hold about `share` of its weights, the best
 * approximation of that rank. Edits the model in place (its constants stored). Answers the names of the nodes split.
 */
export const makeLowRank = (model: ModelProto, share: number, seed: number): string[] => {
  const graph = mainGraph(model)
  const weights = new Map(graph.initializer.map((tensor) => [tensor.name ?? '', tensor]))
  const fresh = nameSource(model)
  const split: string[] = []
  graph.node = graph.node.flatMap((node) => {
    const matrix = storedMatrix(node, weights)
    const rank = matrix && rankFor(matrix.rows, matrix.columns, share)
    if (!matrix || rank === undefined) return [node]
    split.push(node.name || node.output[0] || '')
    return splitNode(graph, node, factorized(matrix, rank, seed + split.length), fresh)
  })
  return split
}

const splitNode = (
  graph: GraphProto,
  node: NodeProto,
  { left, right }: { left: Matrix; right: Matrix },
  fresh: (base: string) => string,
): NodeProto[] => {
  const base = node.input[1]!
  const [down, up, inner] = [fresh(`${base}_down`), fresh(`${base}_up`), fresh(`${base}_inner`)]
  graph.initializer.push(
    makeTensor(down, [left.rows, left.columns], Float32Array.from(left.data)),
    makeTensor(up, [right.rows, right.columns], Float32Array.from(right.data)),
  )
  const second = { ...withoutAttributes(node, 'transB'), input: [inner, up, ...node.input.slice(2)] }
  return [makeNode('MatMul', [node.input[0]!, down], [inner]), second]
}
