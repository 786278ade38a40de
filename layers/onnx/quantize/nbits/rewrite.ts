import type { NodeProto } from '../../codec/schema.ts'
import { tensorFloats } from '../../codec/tensor-values.ts'
import { floatAttribute, intAttribute } from '../../graph/attributes.ts'
import { intAttr, makeNode, type makeTensor } from '../../graph/build.ts'
import type { Target } from '../targets.ts'
import { type BlockWeights, blocksOf, packCodes, packZeros } from './blocks.ts'

/** What rewriting nodes shares. */
export interface NBitsWriter {
  accuracy_level: 0 | 1 | 4
  fresh(base: string): string
  /** Stores a tensor in the outermost graph and answers its name. */
  store(base: string, dims: readonly number[], values: Parameters<typeof makeTensor>[2]): string
}

/** Names of what holds a weight in blocks; `zeros` is '' when they are the middle of the range. */
export interface StoredBlocks {
  codes: string
  scales: string
  zeros: string
  weights: BlockWeights
}

/** A weight as rows of output channels: MatMul's and Gemm's [inputs, outputs] are turned, an embedding is as it should be. */
export function rowsOf({ kind, node, weight }: Target): { matrix: Float32Array; rows: number; columns: number } {
  const floats = tensorFloats(weight)
  const [first = 0, second = 0] = weight.dims
  if (kind === 'Gather' || intAttribute(node, 'transB', 0) !== 0) return { matrix: floats, rows: first, columns: second }
  const matrix = new Float32Array(floats.length)
  for (let at = 0; at < first; at++) for (let to = 0; to < second; to++) matrix[to * first + at] = floats[at * second + to]!
  return { matrix, rows: second, columns: first }
}

export function storeBlocks(writer: NBitsWriter, { kind, node, weight }: Target, weights: BlockWeights): StoredBlocks {
  const { rows, columns, bits, block_size, symmetric } = weights
  const base = weight.name || node.input[1] || 'weight'
  const blocks = blocksOf(columns, block_size)
  const row_bytes = (blocks * block_size * bits) / 8
  const zero_bytes = Math.ceil((blocks * bits) / 8)
  // The product's operator wants blocks as an axis of their own; the embedding's wants rows of bytes.
  const product = kind !== 'Gather'
  const code_dims = product ? [rows, blocks, row_bytes / blocks] : [rows, row_bytes]
  return {
    weights,
    codes: writer.store(`${base}_q${bits}`, code_dims, packCodes(weights)),
    scales: writer.store(`${base}_scales`, product ? [rows * blocks] : [rows, blocks], weights.scales),
    zeros: symmetric ? '' : writer.store(`${base}_zeros`, product ? [rows * zero_bytes] : [rows, zero_bytes], packZeros(weights)),
  }
}

const blockAttributes = ({ bits, block_size }: BlockWeights) => [intAttr('bits', bits), intAttr('block_size', block_size)]

/** MatMulNBits, and for Gemm the Add of its bias. Gemm's alpha is in the scales from here on, beta in a Mul where it is not 1. */
export function productNodes(writer: NBitsWriter, { kind, node }: Target, stored: StoredBlocks): NodeProto[] {
  const { weights } = stored
  const output = node.output[0] ?? ''
  const gemm = kind === 'Gemm'
  const alpha = gemm ? floatAttribute(node, 'alpha', 1) : 1
  const beta = gemm ? floatAttribute(node, 'beta', 1) : 1
  const bias = gemm ? (node.input[2] ?? '') : ''
  const scales =
    alpha === 1
      ? stored.scales
      : writer.store(
          `${stored.scales}_alpha`,
          [weights.scales.length],
          weights.scales.map((scale) => scale * alpha),
        )
  const attributes = [
    intAttr('K', weights.columns),
    intAttr('N', weights.rows),
    intAttr('accuracy_level', writer.accuracy_level),
    ...blockAttributes(weights),
  ]
  const inputs = [node.input[0] ?? '', stored.codes, scales, ...(stored.zeros ? [stored.zeros] : [])]
  const product = bias === '' ? output : writer.fresh(`${output}_product`)
  const nodes = [
    makeNode('MatMulNBits', inputs, [product], {
      domain: 'com.microsoft',
      attributes,
      ...(node.name && bias === '' ? { name: node.name } : {}),
    }),
  ]
  if (bias === '') return nodes
  if (beta === 1) return [...nodes, makeNode('Add', [product, bias], [output])]
  const scaled = writer.fresh(`${output}_bias`)
  const factor = writer.store(`${output}_beta`, [], Float32Array.of(beta))
  return [...nodes, makeNode('Mul', [bias, factor], [scaled]), makeNode('Add', [product, scaled], [output])]
}

/** GatherBlockQuantized along rows, blocks along columns; only the rows asked for are dequantized. */
export const gatherNode = ({ node }: Target, { codes, scales, zeros, weights }: StoredBlocks): NodeProto =>
  makeNode('GatherBlockQuantized', [codes, node.input[1] ?? '', scales, ...(zeros ? [zeros] : [])], [node.output[0] ?? ''], {
    domain: 'com.microsoft',
    attributes: [...blockAttributes(weights), intAttr('gather_axis', 0), intAttr('quantize_axis', 1)],
  })
