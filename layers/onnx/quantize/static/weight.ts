import type { TensorProto } from '../../codec/schema.ts'
import { tensorFloats } from '../../codec/tensor-values.ts'
import { type Gram, roundInOrder } from '../nbits/gptq.ts'
import { type WeightType, zeroPoint } from '../weights.ts'

export interface AxisWeights {
  /** In the order of the original. */
  values: Int8Array | Uint8Array
  /** One per position on the axis; a single one for the whole tensor. */
  scales: Float32Array
  zero_point: number
}

const largest = (type: WeightType): number => (type === 's7' ? 64 : 127)
/** A scale below this would divide to infinity; such a channel is zero for all purposes. */
const SMALLEST = 1e-37

/**
 * Symmetric 8-bit weights with a scale per position on `axis` (undefined: one for all). `least` is the smallest scale a position may
 * get, so that its bias fits int32; `factor` multiplies every weight first. With `gram` weights are rounded in order (GPTQ) instead of
 * each to the nearest.
 */
export function quantizeAlong(
  tensor: TensorProto,
  axis: number | undefined,
  type: WeightType,
  options: { least?: Float32Array | undefined; factor?: number; gram?: Gram | undefined } = {},
): AxisWeights {
  const floats = tensorFloats(tensor)
  const channels = axis === undefined ? 1 : (tensor.dims[axis] ?? 1)
  const inner = axis === undefined ? floats.length : tensor.dims.slice(axis + 1).reduce((product, size) => product * size, 1)
  const channelOf = (at: number): number => Math.floor(at / inner) % channels
  const factor = options.factor ?? 1
  const scales = new Float32Array(channels)
  for (let at = 0; at < floats.length; at++) {
    const size = Math.abs(floats[at]! * factor)
    const channel = channelOf(at)
    if (size > scales[channel]!) scales[channel] = size
  }
  for (let channel = 0; channel < channels; channel++) {
    const scale = Math.max(scales[channel]! / largest(type), options.least?.[channel] ?? 0)
    scales[channel] = scale > SMALLEST ? scale : 1
  }
  const zero_point = zeroPoint(type)
  const values = type === 'u8' ? new Uint8Array(floats.length) : new Int8Array(floats.length)
  if (options.gram && axis !== undefined) {
    const middle = largest(type)
    const codes = codesInOrder(floats, { channels, inner, factor, middle, scales }, options.gram)
    for (let at = 0; at < codes.length; at++) values[at] = codes[at]! - middle + zero_point
    return { values, scales, zero_point }
  }
  for (let at = 0; at < floats.length; at++) values[at] = Math.round((floats[at]! * factor) / scales[channelOf(at)]!) + zero_point
  return { values, scales, zero_point }
}

/**
 * Symmetric weights with a scale per position on `axis` in steps that are `finer` times smaller than those of 8 bits; `scales` are of
 * whole steps. With `gram` rounded in order.
 */
export function quantizeFiner(
  tensor: TensorProto,
  axis: number,
  finer: number,
  gram?: Gram,
): { codes: Int16Array; scales: Float32Array } {
  const floats = tensorFloats(tensor)
  const channels = tensor.dims[axis] ?? 1
  const inner = tensor.dims.slice(axis + 1).reduce((product, size) => product * size, 1)
  const peaks = new Float32Array(channels)
  for (let at = 0; at < floats.length; at++) {
    const channel = Math.floor(at / inner) % channels
    peaks[channel] = Math.max(peaks[channel]!, Math.abs(floats[at]!))
  }
  const scales = peaks.map((peak) => (peak / largest('s8') > SMALLEST ? peak / largest('s8') : 1))
  const middle = finer * largest('s8')
  const steps = scales.map((scale) => scale / finer)
  const codes = gram
    ? Int16Array.from(codesInOrder(floats, { channels, inner, factor: 1, middle, scales: steps }, gram), (code) => code - middle)
    : Int16Array.from(floats, (value, at) => Math.round(value / steps[Math.floor(at / inner) % channels]!))
  return { codes, scales }
}

interface Channels {
  channels: number
  /** Elements between two of the same channel's, and of it in a run: 1 for [inputs, outputs]. */
  inner: number
  factor: number
  /** The code of zero; twice that is the largest. */
  middle: number
  scales: Float32Array
}

/** Codes by GPTQ on the grids of round-to-nearest, in the order of the original: channel first, or [inputs, outputs]. */
function codesInOrder(
  floats: Float32Array,
  { channels, inner, factor, middle, scales }: Channels,
  gram: Gram,
): Uint8Array | Uint16Array {
  const inputs = floats.length / channels
  const channel_first = inner === inputs
  const placeOf = (channel: number, input: number): number =>
    channel_first ? channel * inputs + input : input * channels + channel
  const matrix = new Float32Array(floats.length)
  for (let channel = 0; channel < channels; channel++)
    for (let input = 0; input < inputs; input++) matrix[channel * inputs + input] = floats[placeOf(channel, input)]! * factor
  const codes = roundInOrder(matrix, channels, inputs, gram, {
    most: 2 * middle,
    block_size: inputs,
    gridOf: (channel) => ({ scale: scales[channel]!, zero: middle }),
  })
  if (channel_first) return codes
  const placed = codes.slice()
  for (let channel = 0; channel < channels; channel++)
    for (let input = 0; input < inputs; input++) placed[placeOf(channel, input)] = codes[channel * inputs + input]!
  return placed
}

/**
 * A bias as int32 at the scale of the sums it joins: activation scale × weight scale, per channel.
 * @returns values and scales, one each per channel
 */
export function quantizeBias(
  bias: Float32Array,
  input_scale: number,
  weight_scales: Float32Array,
): { values: Int32Array; scales: Float32Array } {
  const scales = bias.map((_, channel) => input_scale * weight_scales[weight_scales.length === 1 ? 0 : channel]!)
  return { values: Int32Array.from(bias, (value, channel) => Math.round(value / scales[channel]!)), scales }
}

/** The smallest weight scales at which a bias fits int32; ONNX Runtime's weight adjustment. Half the range leaves room for the sums. */
export const leastWeightScales = (bias: Float32Array, input_scale: number, channels: number): Float32Array => {
  const least = new Float32Array(channels)
  bias.forEach((value, at) => {
    const channel = channels === 1 ? 0 : at
    least[channel] = Math.max(least[channel]!, Math.abs(value) / (input_scale * 2 ** 30))
  })
  return least
}
