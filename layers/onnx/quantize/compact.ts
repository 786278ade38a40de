import { DataType } from '../codec/data-types.ts'
import { halfToFloat } from '../codec/half.ts'
import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { elementCount, tensorFloats } from '../codec/tensor-values.ts'
import { intAttr, makeNode } from '../graph/build.ts'
import { nameSource } from '../graph/edit.ts'
import { shortenNames } from '../graph/shorten-names.ts'
import { mainGraph } from '../graph/walk.ts'
import { halfTensor } from './half/to-half.ts'

/** A Cast takes about as many bytes as it saves below. */
const LEAST_ELEMENTS = 48
/** Of an element, or of the largest: half of what 11 bits tell apart. Weights of 8 bits are a hundred times as far off. */
const PRECISION = 2 ** -11
/** Elements this much smaller than the largest add nothing to what the largest is off by. */
const LEAST_SHARE = 2 ** -6

/**
 * Takes bytes off a model whose weights are small already, at no cost that could be measured: floats left over (biases, scales, tables) as
 * halves, widened when the model is loaded, and names as short as can be. Changes `model` in place.
 */
export function compact(model: ModelProto): void {
  const graph = mainGraph(model)
  const fresh = nameSource(model)
  const public_names = new Set([...graph.input, ...graph.output].map(({ name }) => name))
  const casts: NodeProto[] = []
  graph.initializer = graph.initializer.map((tensor) => {
    const name = tensor.name ?? ''
    if (public_names.has(name) || tensor.data_type !== DataType.FLOAT || elementCount(tensor.dims) < LEAST_ELEMENTS) return tensor
    const half = halfTensor(fresh(`${name}_half`), tensor)
    if (half.clamped > 0 || !isFaithful(tensor, half.tensor)) return tensor
    casts.push(makeNode('Cast', [half.tensor.name ?? ''], [name], { attributes: [intAttr('to', DataType.FLOAT)] }))
    return half.tensor
  })
  graph.node.unshift(...casts)
  shortenNames(model)
}

/** Whether every element that matters keeps its digits. */
function isFaithful(tensor: TensorProto, half: TensorProto): boolean {
  const floats = tensorFloats(tensor)
  const raw = half.raw_data
  if (!raw) return false
  const bits = new Uint16Array(raw.buffer, raw.byteOffset, raw.byteLength / 2)
  const largest = floats.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  return floats.every((value, at) => {
    const off = Math.abs(halfToFloat(bits[at]!) - value)
    return off <= PRECISION * Math.max(Math.abs(value), LEAST_SHARE * largest)
  })
}
