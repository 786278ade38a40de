import { halfToFloat } from '../codec/half.ts'

/** Tensors as they travel between processes: type, shape and little-endian bytes, or texts. */
export type TensorValue =
  | { type: string; dims: number[]; bytes: Uint8Array }
  | { type: 'string'; dims: number[]; texts: string[] }
export type Feeds = Record<string, TensorValue>

/** One input or output as onnxruntime declares it; a free dimension is its symbol's name, '' or -1 where it has none. */
export interface TensorPort {
  name: string
  /** Element type as onnxruntime names it, e.g. `float32`; undefined when it is no tensor. */
  type: string | undefined
  shape: (number | string)[]
}

const widths: Readonly<Record<string, number>> = {
  float64: 8,
  int64: 8,
  uint64: 8,
  float32: 4,
  int32: 4,
  uint32: 4,
  float16: 2,
  int16: 2,
  uint16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
}

/** Bytes per element; undefined for types that cannot be fed from here (string, int4, float8, bfloat16). */
export const elementBytes = (type: string): number | undefined => widths[type]

export const elementCount = (dims: readonly number[]): number => dims.reduce((product, size) => product * size, 1)

/** Bytes of all inputs of a row; texts by their length. */
export const bytesOf = (feeds: Feeds): number =>
  Object.values(feeds).reduce(
    (sum, value) => sum + ('texts' in value ? value.texts.reduce((all, text) => all + text.length, 0) : value.bytes.length),
    0,
  )

export const sameShape = (a: TensorValue, b: TensorValue | undefined): b is TensorValue =>
  b !== undefined && a.dims.length === b.dims.length && a.dims.every((size, axis) => size === b.dims[axis])

/** A copy at offset 0, so that any typed array can look at it. */
const aligned = (bytes: Uint8Array): ArrayBuffer => {
  const copy = new Uint8Array(bytes.byteLength)
  copy.set(bytes)
  return copy.buffer
}

/** The typed array that onnxruntime wants for a type. Fails with a RangeError naming the type when there is none. */
export function typedArray(type: string, bytes: Uint8Array) {
  const buffer = aligned(bytes)
  switch (type) {
    case 'float64':
      return new Float64Array(buffer)
    case 'int64':
      return new BigInt64Array(buffer)
    case 'uint64':
      return new BigUint64Array(buffer)
    case 'float32':
      return new Float32Array(buffer)
    case 'int32':
      return new Int32Array(buffer)
    case 'uint32':
      return new Uint32Array(buffer)
    case 'float16':
    case 'uint16':
      return new Uint16Array(buffer)
    case 'int16':
      return new Int16Array(buffer)
    case 'int8':
      return new Int8Array(buffer)
    case 'uint8':
    case 'bool':
      return new Uint8Array(buffer)
    default:
      throw new RangeError(`Tensors of type ${type} cannot be made here; wanted one of ${Object.keys(widths).join(', ')}`)
  }
}

/** The elements as numbers, whatever the type; undefined for texts. 64-bit integers lose what does not fit 2^53. */
export function numbersOf(value: TensorValue): Float64Array | undefined {
  if ('texts' in value) return undefined
  const typed = typedArray(value.type, value.bytes)
  if (value.type === 'float16' && typed instanceof Uint16Array) return Float64Array.from(typed, halfToFloat)
  if (typed instanceof BigInt64Array || typed instanceof BigUint64Array) return Float64Array.from(typed, Number)
  // Not `from`, which takes one element after the other: ten times as long.
  return new Float64Array(typed)
}
