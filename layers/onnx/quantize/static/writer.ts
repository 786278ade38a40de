import type { NodeProto, TensorProto } from '../../codec/schema.ts'
import { OnnxFault } from '../../fault.ts'
import { withoutAttributes } from '../../graph/attributes.ts'
import { intAttr, makeNode, type makeTensor } from '../../graph/build.ts'
import type { GraphIndex } from '../../graph/index-graph.ts'
import type { Scale } from './scales.ts'
import type { StaticSettings } from './settings.ts'
import type { Product } from './units.ts'
import { type AxisWeights, leastWeightScales, quantizeAlong, quantizeBias } from './weight.ts'

/** What turning a plan into nodes shares. */
export interface Writer {
  index: GraphIndex
  settings: StaticSettings
  scales: ReadonlyMap<string, Scale>
  fresh(base: string): string
  store(base: string, dims: readonly number[], values: Parameters<typeof makeTensor>[2]): string
  add(node: NodeProto): void
  /** Quantized form of a value that stays float for others; made once. */
  rounded: Map<string, string>
  stored: Map<TensorProto, { axis: number | undefined; weights: AxisWeights; name: string }[]>
}

/** Names of the initializers that hold a scale and its zero point. */
export function storeScale(writer: Writer, base: string, { scale, zero_point, type }: Scale): [scale: string, zero: string] {
  const zero = type === 'u8' ? Uint8Array.of(zero_point) : Int8Array.of(zero_point)
  return [writer.store(`${base}_scale`, [], Float32Array.of(scale)), writer.store(`${base}_zero`, [], zero)]
}

export const scaleOf = (writer: Writer, name: string): Scale => {
  const scale = writer.scales.get(name)
  if (!scale) throw new OnnxFault('unsupported', `The value "${name}" has no calibrated range`)
  return scale
}

/** `from` → 8 bits → `to`. */
export function addRounding(writer: Writer, from: string, to: string, base: string, scale: Scale): void {
  const [scale_name, zero] = storeScale(writer, base, scale)
  const quantized = writer.fresh(`${base}_quantized`)
  writer.add(makeNode('QuantizeLinear', [from, scale_name, zero], [quantized]))
  // The maker of `to` may bear its name, and no two nodes may have the same.
  writer.add(makeNode('DequantizeLinear', [quantized, scale_name, zero], [to], { name: writer.fresh(`${base}_dequantize`) }))
}

/** Gives a product its 8-bit weight and its bias as int32. */
export function writeProduct(writer: Writer, product: Product, input: Scale): void {
  const { node, bias } = product
  const with_bias = bias !== undefined && writer.settings.quantize_bias !== false
  const { weights, name } = storedWeight(writer, product, with_bias ? { bias, input_scale: input.scale } : undefined)
  node.input[1] = name
  // Its factors are in the weight and the bias from here on.
  node.attribute = withoutAttributes(node, 'alpha', 'beta').attribute
  if (!bias) return
  const biased = product.bias_node ?? node
  const at = biased.input.indexOf(product.bias_name ?? '')
  if (!with_bias) {
    if (product.bias_node === undefined) biased.input[at] = writer.store(`${product.bias_name}_float`, [bias.length], bias)
    return
  }
  const { values, scales } = quantizeBias(bias, input.scale, weights.scales)
  const base = product.bias_name ?? ''
  const dims = weights.scales.length === 1 ? [] : [scales.length]
  const scale = writer.store(`${base}_scale`, dims, dims.length === 0 ? scales.slice(0, 1) : scales)
  const quantized = writer.store(`${base}_int32`, [values.length], values)
  const dequantized = writer.fresh(`${base}_dequantized`)
  const attributes = dims.length === 0 ? [] : [intAttr('axis', 0)]
  writer.add(makeNode('DequantizeLinear', [quantized, scale], [dequantized], { attributes }))
  biased.input[at] = dequantized
}

/** The name of the dequantized weight; one for all nodes that read the same weight with the same scales. */
function storedWeight(
  writer: Writer,
  { weight, axis: channels, factor, node }: Product,
  joined: { bias: Float32Array; input_scale: number } | undefined,
): { weights: AxisWeights; name: string } {
  const base = weight.name || node.input[1] || 'weight'
  const override = writer.settings.overrides?.[base]
  const axis = (override?.per_channel ?? writer.settings.per_channel) ? channels : undefined
  const count = axis === undefined ? 1 : (weight.dims[axis] ?? 1)
  const least = joined && leastWeightScales(joined.bias, joined.input_scale, count)
  const type = override?.weight_type ?? writer.settings.weight_type
  const output = node.output[0] ?? ''
  const gram = writer.settings.grams?.get(output)
  const weights = writer.settings.memo?.get(output) ?? quantizeAlong(weight, axis, type, { least, factor, gram })
  writer.settings.memo?.set(output, weights)
  const known = writer.stored.get(weight) ?? []
  writer.stored.set(weight, known)
  const same = known.find(
    (entry) => entry.axis === axis && entry.weights.scales.every((scale, at) => scale === weights.scales[at]),
  )
  if (same) return same
  const dims = axis === undefined ? [] : [count]
  const zeros = (weights.values instanceof Uint8Array ? new Uint8Array(count) : new Int8Array(count)).fill(weights.zero_point)
  const quantized = writer.store(`${base}_quantized`, weight.dims, weights.values)
  const inputs = [quantized, writer.store(`${base}_scale`, dims, weights.scales), writer.store(`${base}_zero`, dims, zeros)]
  const entry = { axis, weights, name: writer.fresh(`${base}_dequantized`) }
  const attributes = axis === undefined ? [] : [intAttr('axis', axis)]
  writer.add(makeNode('DequantizeLinear', inputs, [entry.name], { attributes }))
  known.push(entry)
  return entry
}
