import { elementBytes, elementCount, type TensorValue } from './tensors.ts'

/** What is wrong with a file of arrays; the message says what, got, wanted. */
export class ArrayFault extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ArrayFault'
  }
}

const types: Readonly<Record<string, string>> = {
  f8: 'float64',
  f4: 'float32',
  f2: 'float16',
  i8: 'int64',
  i4: 'int32',
  i2: 'int16',
  i1: 'int8',
  u8: 'uint64',
  u4: 'uint32',
  u2: 'uint16',
  u1: 'uint8',
  b1: 'bool',
}

const MAX_RANK = 32

/**
 * One array of NumPy's .npy format, versions 1–3: little-endian, C order, numbers or booleans.
 * Source: numpy.lib.format. Fails with ArrayFault; never reads objects (pickle).
 */
export function readNpy(bytes: Uint8Array, name: string): TensorValue & { bytes: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 12 || bytes[0] !== 0x93 || latin1(bytes.subarray(1, 6)) !== 'NUMPY')
    throw new ArrayFault(`${name} is no .npy array: it does not begin with \\x93NUMPY`)
  const wide = (bytes[6] ?? 0) >= 2
  const start = wide ? 12 : 10
  const end = start + (wide ? view.getUint32(8, true) : view.getUint16(8, true))
  if (end > bytes.length) throw new ArrayFault(`${name} ends inside its header: got ${bytes.length} bytes, wanted ${end}`)
  const header = latin1(bytes.subarray(start, end))
  const { type, dims } = readHeader(header, name)
  const size = elementCount(dims) * (elementBytes(type) ?? 0)
  if (bytes.length - end !== size)
    throw new ArrayFault(`${name} holds ${bytes.length - end} bytes of data; wanted ${size} for ${type} of shape [${dims}]`)
  return { type, dims, bytes: bytes.subarray(end) }
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')

function readHeader(header: string, name: string): { type: string; dims: number[] } {
  const descr = /'descr'\s*:\s*'([<>|=]?)(\w+)'/.exec(header)
  const type = descr && types[descr[2] ?? '']
  if (!type)
    throw new ArrayFault(
      `${name} has an element type that cannot be fed: header ${header.trim().slice(0, 80)}; wanted one of ${Object.keys(types).join(', ')}`,
    )
  if (descr[1] === '>') throw new ArrayFault(`${name} is big-endian; wanted little-endian (array.astype('<${descr[2]}'))`)
  if (/'fortran_order'\s*:\s*True/.test(header))
    throw new ArrayFault(`${name} is in Fortran order; wanted C order (numpy.ascontiguousarray)`)
  const shape = /'shape'\s*:\s*\(([\d,\s]*)\)/.exec(header)?.[1]
  if (shape === undefined) throw new ArrayFault(`${name} has no shape in its header: ${header.trim().slice(0, 80)}`)
  const dims = shape.split(',').flatMap((text) => (text.trim() === '' ? [] : [Number(text)]))
  if (dims.length > MAX_RANK || !Number.isSafeInteger(elementCount(dims)))
    throw new ArrayFault(`${name} has an impossible shape [${dims}]`)
  return { type, dims }
}
