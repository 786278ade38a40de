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
 * One array of NumPy's .npy format, versions 1–3: little-endian, C order; numbers, booleans or texts (`<U12`, `|S12`).
 * Of the beginning of a file (`cut`) it takes the rows that are whole.
 * Source: numpy.lib.format. Fails with ArrayFault; never reads objects (pickle).
 */
export function readNpy(bytes: Uint8Array, name: string, cut = false): TensorValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 12 || bytes[0] !== 0x93 || latin1(bytes.subarray(1, 6)) !== 'NUMPY')
    throw new ArrayFault(`${name} is no .npy array: it does not begin with \\x93NUMPY`)
  const wide = (bytes[6] ?? 0) >= 2
  const start = wide ? 12 : 10
  const end = start + (wide ? view.getUint32(8, true) : view.getUint16(8, true))
  if (end > bytes.length) throw new ArrayFault(`${name} ends inside its header: got ${bytes.length} bytes, wanted ${end}`)
  const header = latin1(bytes.subarray(start, end))
  const { type, dims: announced, text } = readHeader(header, name)
  const { dims, data } = wholeRows(bytes.subarray(end), type, announced, text ? text.width : (elementBytes(type) ?? 0), name, cut)
  return text ? { type: 'string', dims, texts: readTexts(data, elementCount(dims), text) } : { type, dims, bytes: data }
}

/**
 * The data of an array of this shape; of the beginning of it (`cut`), as many rows as are whole. Fails with ArrayFault when bytes are
 * missing or too many.
 */
export function wholeRows(
  data: Uint8Array,
  type: string,
  dims: number[],
  width: number,
  name: string,
  cut: boolean,
): { dims: number[]; data: Uint8Array } {
  const size = elementCount(dims) * width
  if (data.length === size) return { dims, data }
  const row = elementCount(dims.slice(1)) * width
  if (!cut || data.length > size || dims.length === 0 || row === 0)
    throw new ArrayFault(`${name} holds ${data.length} bytes of data; wanted ${size} for ${type} of shape [${dims}]`)
  const rows = Math.floor(data.length / row)
  return { dims: [rows, ...dims.slice(1)], data: data.subarray(0, rows * row) }
}

/** How texts of one length lie side by side, zeros filling up: UTF-32 (`U`) or bytes, taken for UTF-8 (`S`). */
interface TextLayout {
  kind: 'U' | 'S'
  width: number
}

function readTexts(data: Uint8Array, count: number, { kind, width }: TextLayout): string[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const wide = (at: number): string => {
    let text = ''
    for (let byte = at * width; byte < (at + 1) * width; byte += 4) {
      const point = view.getUint32(byte, true)
      if (point === 0) break
      text += point <= 0x10ffff ? String.fromCodePoint(point) : '\ufffd'
    }
    return text
  }
  const narrow = (at: number): string =>
    Buffer.from(data.buffer, data.byteOffset + at * width, width)
      .toString('utf8')
      .replace(/\0+$/, '')
  return Array.from({ length: count }, (_, at) => (kind === 'U' ? wide(at) : narrow(at)))
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')

function readHeader(header: string, name: string): { type: string; dims: number[]; text?: TextLayout } {
  const descr = /'descr'\s*:\s*'([<>|=]?)(\w+)'/.exec(header)
  const text = textLayout(descr?.[2])
  const type = text ? 'string' : Object.hasOwn(types, descr?.[2] ?? '') ? types[descr?.[2] ?? ''] : undefined
  if (!descr || !type)
    throw new ArrayFault(
      `${name} has an element type that cannot be fed: header ${header.trim().slice(0, 80)}; wanted one of ${Object.keys(types).join(', ')}, U or S`,
    )
  if (descr[1] === '>') throw new ArrayFault(`${name} is big-endian; wanted little-endian (array.astype('<${descr[2]}'))`)
  if (/'fortran_order'\s*:\s*True/.test(header))
    throw new ArrayFault(`${name} is in Fortran order; wanted C order (numpy.ascontiguousarray)`)
  const shape = /'shape'\s*:\s*\(([\d,\s]*)\)/.exec(header)?.[1]
  if (shape === undefined) throw new ArrayFault(`${name} has no shape in its header: ${header.trim().slice(0, 80)}`)
  const dims = shape.split(',').flatMap((text) => (text.trim() === '' ? [] : [Number(text)]))
  if (dims.length > MAX_RANK || !Number.isSafeInteger(elementCount(dims)))
    throw new ArrayFault(`${name} has an impossible shape [${dims}]`)
  return { type, dims, ...(text ? { text } : {}) }
}

const MAX_TEXT = 65_536

const textLayout = (descr: string | undefined): TextLayout | undefined => {
  const [, kind, length] = /^([US])(\d+)$/.exec(descr ?? '') ?? []
  // Texts of no length would make any number of them out of no bytes.
  if (kind === undefined || Number(length) < 1 || Number(length) > MAX_TEXT) return undefined
  return kind === 'U' ? { kind, width: 4 * Number(length) } : { kind: 'S', width: Number(length) }
}
