import { ArrayFault, wholeRows } from './npy.ts'
import { elementBytes, type TensorValue } from './tensors.ts'

/** Element types by the third byte of the magic number. */
const types: Readonly<Record<number, string>> = {
  8: 'uint8',
  9: 'int8',
  11: 'int16',
  12: 'int32',
  13: 'float32',
  14: 'float64',
}

/** Whether bytes begin as an idx file: two zeros, a known type, a rank from 1 to 8. */
export const isIdx = (bytes: Uint8Array): boolean =>
  bytes.length >= 8 && bytes[0] === 0 && bytes[1] === 0 && (bytes[2] ?? 0) in types && bytes[3]! >= 1 && bytes[3]! <= 8

/**
 * One array of the idx format, in which MNIST and its kin are published: big-endian magic number, sizes and elements. Of
 * the beginning of a file (`cut`) it takes the rows that are whole.
 * Source: http://yann.lecun.com/exdb/mnist, "The IDX file format". Fails with ArrayFault naming what was got and wanted.
 */
export function readIdx(bytes: Uint8Array, name: string, cut = false): TensorValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const type = types[bytes[2] ?? 0]
  const rank = bytes[3] ?? 0
  const start = 4 + 4 * rank
  if (type === undefined || bytes.length < start) throw new ArrayFault(`${name} ends inside its idx header`)
  const announced = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis))
  const width = elementBytes(type) ?? 1
  const { dims, data } = wholeRows(bytes.subarray(start), type, announced, width, name, cut)
  if (width === 1) return { type, dims, bytes: data }
  const swapped = Buffer.from(data)
  if (width === 2) swapped.swap16()
  else if (width === 4) swapped.swap32()
  else swapped.swap64()
  return { type, dims, bytes: swapped }
}
