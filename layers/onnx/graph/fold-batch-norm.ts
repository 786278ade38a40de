import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { tensorFloats } from '../codec/tensor-values.ts'
import { floatAttribute, intAttribute } from './attributes.ts'
import { makeTensor } from './build.ts'
import { dropUnused, nameSource } from './edit.ts'
import { constantTensor, type GraphIndex, indexGraph, isPlain } from './index-graph.ts'
import { settleIrVersion } from './opsets.ts'
import { mainGraph } from './walk.ts'

/** y = factor·x + shift, channel by channel. */
interface Affine {
  factor: Float64Array
  shift: Float64Array
}

/** A node whose weight and bias can take up an affine map of its output's channels. */
interface Absorber {
  node: NodeProto
  weight: TensorProto
  /** Which axis of the weight its output channels lie on. */
  axis: number
  bias: TensorProto | undefined
  bias_factor: number
}

/**
 * Folds BatchNormalization (inference form) and per-channel or scalar Mul and Add of stored numbers into the Conv, ConvTranspose or
 * Gemm before them, where nothing else reads what lies between. Exact but for rounding; scaled weights are computed in float64.
 * Changes the outermost graph of `model`. Answers how many nodes went.
 * Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference (2018), §3.2.
 */
export function foldAffine(model: ModelProto): number {
  let folded = 0
  while (foldOne(model)) folded++
  if (folded > 0) {
    dropUnused(model)
    settleIrVersion(model)
  }
  return folded
}

function foldOne(model: ModelProto): boolean {
  const graph = mainGraph(model)
  const index = indexGraph(graph, { ir_version: model.ir_version })
  for (const node of graph.node) {
    const input = computedInput(index, node)
    const before = input === undefined ? undefined : index.producers.get(input)
    if (
      !before ||
      input === undefined ||
      before.output[0] !== input ||
      index.uses.get(input)?.length !== 1 ||
      index.outputs.has(input)
    )
      continue
    const absorber = absorberOf(index, before)
    const affine = absorber && affineOf(index, node, absorber)
    if (!absorber || !affine) continue
    absorb(model, absorber, affine)
    // The name of what follows stays; it may be an output of the graph.
    before.output = [node.output[0] ?? '']
    graph.node.splice(graph.node.indexOf(node), 1)
    return true
  }
  return false
}

/** The one input that is computed, of operators that could fold. */
function computedInput(index: GraphIndex, node: NodeProto): string | undefined {
  if (isPlain(node, 'BatchNormalization')) return node.input[0]
  if (!isPlain(node, 'Add') && !isPlain(node, 'Mul')) return undefined
  const computed = node.input.filter((name) => !constantTensor(index, name))
  return node.input.length === 2 && computed.length === 1 ? computed[0] : undefined
}

function absorberOf(index: GraphIndex, node: NodeProto): Absorber | undefined {
  const weight = constantTensor(index, node.input[1] ?? '')
  const bias_name = node.input[2] ?? ''
  const bias = constantTensor(index, bias_name)
  if (weight?.data_type !== DataType.FLOAT || (bias_name !== '' && bias?.data_type !== DataType.FLOAT)) return undefined
  if (isPlain(node, 'Conv')) return { node, weight, axis: 0, bias, bias_factor: 1 }
  if (isPlain(node, 'ConvTranspose') && intAttribute(node, 'group', 1) === 1)
    return { node, weight, axis: 1, bias, bias_factor: 1 }
  const bias_factor = floatAttribute(node, 'beta', 1)
  if (!isPlain(node, 'Gemm') || bias_factor === 0 || weight.dims.length !== 2) return undefined
  const axis = intAttribute(node, 'transB', 0) !== 0 ? 0 : 1
  const plain_bias = !bias || (bias.dims.length === 1 && bias.dims[0] === weight.dims[axis])
  return plain_bias ? { node, weight, axis, bias, bias_factor } : undefined
}

/** What a node does to each channel; undefined when that is not one number per channel. */
function affineOf(index: GraphIndex, node: NodeProto, absorber: Absorber): Affine | undefined {
  const channels = absorber.weight.dims[absorber.axis] ?? 0
  if (isPlain(node, 'BatchNormalization')) return normalisation(index, node, channels)
  const tensor = node.input.map((name) => constantTensor(index, name)).find((each) => each !== undefined)
  // Counted from the last axis: channels of Gemm are the last, those of convolutions stand before the spatial ones.
  const after = absorber.node.op_type === 'Gemm' ? 0 : absorber.weight.dims.length - 2
  const rank = after + 2
  const place = tensor ? tensor.dims.length - 1 - after : 0
  const fits =
    tensor?.data_type === DataType.FLOAT &&
    tensor.dims.length <= rank &&
    tensor.dims.every((size, axis) => size === 1 || (axis === place && size === channels))
  if (!tensor || !fits) return undefined
  const values = tensorFloats(tensor)
  const spread = Float64Array.from({ length: channels }, (_, channel) => values[values.length === 1 ? 0 : channel]!)
  const mul = isPlain(node, 'Mul')
  return { factor: mul ? spread : new Float64Array(channels).fill(1), shift: mul ? new Float64Array(channels) : spread }
}

function normalisation(index: GraphIndex, node: NodeProto, channels: number): Affine | undefined {
  const tensors = node.input.slice(1, 5).map((name) => constantTensor(index, name))
  const training =
    intAttribute(node, 'training_mode', 0) !== 0 || node.output.slice(1).some((name) => name !== '' && index.uses.has(name))
  const [scale, bias, mean, variance] = tensors.map((tensor) => (tensor?.dims[0] === channels ? tensorFloats(tensor) : undefined))
  if (training || !scale || !bias || !mean || !variance) return undefined
  const epsilon = floatAttribute(node, 'epsilon', 1e-5)
  const factor = Float64Array.from(scale, (each, at) => each / Math.sqrt(variance[at]! + epsilon))
  return { factor, shift: factor.map((each, at) => bias[at]! - each * mean[at]!) }
}

/** Gives the node a weight and a bias of its own, which carry the map. */
function absorb(model: ModelProto, { node, weight, axis, bias, bias_factor }: Absorber, { factor, shift }: Affine): void {
  const inner = weight.dims.slice(axis + 1).reduce((product, dim) => product * dim, 1)
  const channels = factor.length
  const scaled = tensorFloats(weight).map((value, at) => value * factor[Math.floor(at / inner) % channels]!)
  const before = bias ? tensorFloats(bias) : new Float32Array(channels)
  const moved = Float32Array.from(before, (value, at) => value * factor[at]! + shift[at]! / bias_factor)
  const fresh = nameSource(model)
  const [weight_name, bias_name] = [fresh(`${node.input[1]}_folded`), fresh(`${node.output[0]}_bias`)]
  mainGraph(model).initializer.push(makeTensor(weight_name, weight.dims, scaled), makeTensor(bias_name, [channels], moved))
  node.input = [node.input[0] ?? '', weight_name, bias_name]
}
