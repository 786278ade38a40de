import { DataType } from '../../codec/data-types.ts'
import type { NodeProto, TensorProto } from '../../codec/schema.ts'
import { elementCount, tensorFloats } from '../../codec/tensor-values.ts'
import { floatAttribute, intAttribute } from '../../graph/attributes.ts'
import { constantTensor, type GraphIndex, isPlain } from '../../graph/index-graph.ts'
import { allFinite } from '../weights.ts'

/** A product and the bias that is added to it, which onnxruntime turns into one integer kernel. */
export interface Product {
  kind: 'product'
  node: NodeProto
  /** The Add behind a MatMul that adds its bias. */
  bias_node?: NodeProto
  weight: TensorProto
  /** Output-channel axis of the weight. */
  axis: number
  /** One per output channel, already multiplied by Gemm's beta. */
  bias?: Float32Array
  bias_name?: string
  /** Gemm's alpha. */
  factor: number
}

/** Output-channel axis by operator: Conv's first, MatMul's last, Gemm's by transB. */
const channelAxis = (node: NodeProto, weight: TensorProto): number => {
  if (isPlain(node, 'Conv')) return 0
  if (isPlain(node, 'Gemm')) return intAttribute(node, 'transB', 0) !== 0 ? 0 : 1
  return weight.dims.length - 1
}

/** The values of a stored bias when there is one per channel (or one for all); undefined when it has another form. */
function storedBias(index: GraphIndex, name: string, channels: number): Float32Array | undefined {
  const tensor = constantTensor(index, name)
  if (!tensor || tensor.data_type !== DataType.FLOAT) return undefined
  const count = elementCount(tensor.dims)
  if (count === 1) return new Float32Array(channels).fill(tensorFloats(tensor)[0]!)
  return count === channels && tensor.dims.at(-1) === channels ? tensorFloats(tensor) : undefined
}

/** The only reader of a value that is no output; undefined when there are several, or a sub-graph reads it. */
export const onlyReader = (index: GraphIndex, name: string): { node: NodeProto; input: number } | undefined => {
  const uses = index.uses.get(name) ?? []
  const [use] = uses
  return uses.length === 1 && use && use.input >= 0 && !index.outputs.has(name) ? use : undefined
}

/** The product a node is, with its bias; a text says why it stays as it is, undefined that it is none. */
export function productOf(index: GraphIndex, node: NodeProto, min_elements: number): Product | string | undefined {
  if (!['Conv', 'Gemm', 'MatMul'].some((operator) => isPlain(node, operator))) return undefined
  const weight = constantTensor(index, node.input[1] ?? '')
  if (!weight) return 'weight is computed'
  if (weight.data_type !== DataType.FLOAT) return 'weight is no float32'
  if (constantTensor(index, node.input[0] ?? '')) return 'both inputs stored'
  const rank = weight.dims.length
  if (isPlain(node, 'Conv') ? rank < 3 : rank !== 2) return 'weight of unusual rank'
  if (elementCount(weight.dims) < min_elements) return 'weight too small to matter'
  if (!allFinite(tensorFloats(weight))) return 'weight not finite'
  const axis = channelAxis(node, weight)
  const product: Product = { kind: 'product', node, weight, axis, factor: 1 }
  if (isPlain(node, 'MatMul')) return withBiasNode(index, product)
  const gemm = isPlain(node, 'Gemm')
  const beta = gemm ? floatAttribute(node, 'beta', 1) : 1
  const factor = gemm ? floatAttribute(node, 'alpha', 1) : 1
  const name = node.input[2] ?? ''
  if (name === '') return { ...product, factor }
  const bias = storedBias(index, name, weight.dims[axis] ?? 0)
  if (!bias) return 'bias is computed or of unusual shape'
  return { ...product, factor, bias: beta === 1 ? bias : bias.map((value) => value * beta), bias_name: name }
}

/** MatMul with the Add behind it, when that adds one stored value per column. */
function withBiasNode(index: GraphIndex, product: Product): Product {
  const reader = onlyReader(index, product.node.output[0] ?? '')
  if (!reader || !isPlain(reader.node, 'Add')) return product
  const name = reader.node.input[1 - reader.input] ?? ''
  const bias = storedBias(index, name, product.weight.dims[1] ?? 0)
  // A bias of higher rank than the product would raise the rank of the result.
  const rank = constantTensor(index, name)?.dims.length ?? 0
  return bias && rank <= 1 ? { ...product, bias_node: reader.node, bias, bias_name: name } : product
}
