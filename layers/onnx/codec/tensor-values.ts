import { OnnxFault } from '../fault.ts'
import { DataType, dataTypeFacts, dataTypeName, EXTERNAL } from './data-types.ts'
import { bfloatToFloat, halfToFloat } from './half.ts'
import { readProto, readRange } from './read-model.ts'
import type { TensorProto } from './schema.ts'
import { smallFloatValues } from './small-floats.ts'
import { unpackBits } from './sub-byte.ts'

export type TensorValues =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array

const nameOf = (tensor: TensorProto): string => `Tensor "${tensor.name ?? ''}"`

/** Elements a shape holds; 1 for a scalar. @throws OnnxFault not_a_model for a negative or absurd dimension */
export const elementCount = (dims: readonly number[], what = 'Shape'): number => {
  let count = 1
  for (const dim of dims) {
    if (dim < 0) throw new OnnxFault('not_a_model', `${what} has the negative dimension ${dim} in [${dims.slice(0, 8)}]`)
    count *= dim
  }
  if (!Number.isSafeInteger(count))
    throw new OnnxFault('unsupported', `${what} of [${dims.slice(0, 8)}] holds more than 2^53 elements`)
  return count
}

/** Bytes the tensor's elements take as `raw_data`, from its shape and type alone; 0 for strings. */
export const tensorSize = (tensor: TensorProto): number => {
  const facts = dataTypeFacts(tensor.data_type ?? 0)
  if (!facts) throw new OnnxFault('unsupported', `${nameOf(tensor)} has the unknown data type ${tensor.data_type ?? 0}`)
  return Math.ceil((elementCount(tensor.dims, nameOf(tensor)) * facts.bits) / 8)
}

export const isExternal = (tensor: TensorProto): boolean => tensor.data_location === EXTERNAL

/** Where an external tensor says its bytes are. */
export const externalReference = (tensor: TensorProto): { location: string; offset: number; size_bytes: number | undefined } => {
  const entry = (key: string): string | undefined => tensor.external_data.find((pair) => pair.key === key)?.value
  const size = entry('length')
  return {
    location: entry('location') ?? '',
    offset: Number(entry('offset') ?? 0),
    size_bytes: size === undefined ? undefined : Number(size),
  }
}

/** The tensor with whatever `readModelFile` left in the file read into memory; the same object when nothing was. */
export const resolveTensor = (tensor: TensorProto): TensorProto => {
  if (!tensor.ranges) return tensor
  const resolved: TensorProto = { ...tensor }
  delete resolved.ranges
  for (const [field, range] of Object.entries(tensor.ranges)) {
    const bytes = readRange(range)
    if (field === 'raw_data') resolved.raw_data = bytes
    else Object.assign(resolved, packedField(field, bytes))
  }
  return resolved
}

const packedNumbers: Record<string, number> = { float_data: 4, int32_data: 5, int64_data: 7, double_data: 10, uint64_data: 11 }

/** One packed field of a TensorProto from its payload: the reader does the work on a message made of that field alone. */
const packedField = (field: string, payload: Uint8Array): Partial<TensorProto> => {
  const head: number[] = [((packedNumbers[field] ?? 0) << 3) | 2]
  let rest = payload.length
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) head.push((rest & 0x7f) | 0x80)
  const { float_data, int32_data, int64_data, double_data, uint64_data } = readProto(
    'TensorProto',
    Buffer.concat([Uint8Array.from([...head, rest]), payload]),
  )
  const all = { float_data, int32_data, int64_data, double_data, uint64_data }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

/**
 * The elements as little-endian bytes, whichever field of the tensor holds them. A view where possible.
 * @throws OnnxFault external_data_missing, or not_a_model when shape and data disagree
 */
export const tensorBytes = (given: TensorProto): Uint8Array => {
  if (isExternal(given))
    throw new OnnxFault('external_data_missing', `${nameOf(given)} is stored in "${externalReference(given).location}"`)
  const expected = tensorSize(given)
  const tensor = resolveTensor(given)
  const bytes = tensor.raw_data ?? fromTypedField(tensor)
  if (bytes.length !== expected) {
    const shape = `[${tensor.dims.slice(0, 8)}] of ${dataTypeName(tensor.data_type ?? 0)}`
    throw new OnnxFault(
      'not_a_model',
      `${nameOf(tensor)} is ${shape}, which takes ${expected} bytes, but it holds ${bytes.length}`,
    )
  }
  return bytes
}

const viewOf = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

const fromTypedField = (tensor: TensorProto): Uint8Array => {
  const facts = dataTypeFacts(tensor.data_type ?? 0)
  if (facts?.field === 'string_data')
    throw new OnnxFault('unsupported', `${nameOf(tensor)} holds strings, which have no raw bytes`)
  const values = facts ? tensor[facts.field] : undefined
  if (!facts || !values || values.length === 0) return new Uint8Array(0)
  if (values instanceof Int32Array)
    return viewOf(facts.bits <= 8 ? Uint8Array.from(values) : facts.bits === 16 ? Uint16Array.from(values) : values)
  if (values instanceof BigUint64Array && facts.bits === 32) return viewOf(Uint32Array.from(values, Number))
  return ArrayBuffer.isView(values) ? viewOf(values) : new Uint8Array(0)
}

/** `bytes` at an offset that typed arrays accept; copied only when it is not. */
const aligned = (bytes: Uint8Array, width: number): Uint8Array => (bytes.byteOffset % width === 0 ? bytes : bytes.slice())

/**
 * The elements as a typed array, a view of the file's bytes where alignment allows. FLOAT16, BFLOAT16 and the 8-bit floats come as
 * bit patterns, BOOL as 0 and 1, 4- and 2-bit integers one per element, complex numbers as pairs.
 * @throws what `tensorBytes` throws; unsupported for strings
 */
export const tensorValues = (tensor: TensorProto): TensorValues => {
  const data_type = tensor.data_type ?? 0
  const facts = dataTypeFacts(data_type)
  const raw = tensorBytes(tensor)
  if (facts && facts.bits < 8)
    return unpackBits(raw, facts.bits, elementCount(tensor.dims), data_type === DataType.INT4 || data_type === DataType.INT2)
  const { buffer, byteOffset, length } = aligned(raw, Math.min(8, (facts?.bits ?? 64) / 8))
  switch (data_type) {
    case DataType.FLOAT:
    case DataType.COMPLEX64:
      return new Float32Array(buffer, byteOffset, length / 4)
    case DataType.DOUBLE:
    case DataType.COMPLEX128:
      return new Float64Array(buffer, byteOffset, length / 8)
    case DataType.INT8:
      return new Int8Array(buffer, byteOffset, length)
    case DataType.INT16:
      return new Int16Array(buffer, byteOffset, length / 2)
    case DataType.UINT16:
    case DataType.FLOAT16:
    case DataType.BFLOAT16:
      return new Uint16Array(buffer, byteOffset, length / 2)
    case DataType.INT32:
      return new Int32Array(buffer, byteOffset, length / 4)
    case DataType.UINT32:
      return new Uint32Array(buffer, byteOffset, length / 4)
    case DataType.INT64:
      return new BigInt64Array(buffer, byteOffset, length / 8)
    case DataType.UINT64:
      return new BigUint64Array(buffer, byteOffset, length / 8)
    default:
      return new Uint8Array(buffer, byteOffset, length)
  }
}

/**
 * The elements as float32: a view for FLOAT, converted for FLOAT16, BFLOAT16, DOUBLE, the 8- and 4-bit floats and whole numbers.
 * @throws what `tensorValues` throws; unsupported for complex numbers
 */
export const tensorFloats = (tensor: TensorProto): Float32Array => {
  const data_type = tensor.data_type ?? 0
  if (data_type === DataType.COMPLEX64 || data_type === DataType.COMPLEX128)
    throw new OnnxFault('unsupported', `${nameOf(tensor)} is ${dataTypeName(data_type)}, whose elements are no single numbers`)
  const values = tensorValues(tensor)
  if (values instanceof Float32Array) return values
  const codes = smallFloatValues(data_type)
  if (codes) return convert(values, (code) => codes[code]!)
  if (data_type === DataType.FLOAT16) return convert(values, halfToFloat)
  if (data_type === DataType.BFLOAT16) return convert(values, bfloatToFloat)
  return convert(values, Number)
}

const convert = (values: TensorValues, toFloat: (bits: number) => number): Float32Array => {
  const floats = new Float32Array(values.length)
  for (let index = 0; index < floats.length; index++) floats[index] = toFloat(Number(values[index]))
  return floats
}

/** The elements as numbers (axes, shapes, sizes); int64 beyond ±2^53 is rounded. */
export const tensorNumbers = (tensor: TensorProto): number[] => {
  const data_type = tensor.data_type
  if (data_type === DataType.FLOAT16 || data_type === DataType.BFLOAT16) return Array.from(tensorFloats(tensor))
  return Array.from(tensorValues(tensor), Number)
}
