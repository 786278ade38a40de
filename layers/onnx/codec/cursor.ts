import { OnnxFault } from '../fault.ts'

/** Where bytes come from: all in memory, or windows of a file. */
export interface Source {
  size_bytes: number
  /** Set when bytes are windows of this file: large weights then stay there, and what is kept is copied. */
  path?: string
  /** Bytes from `offset` on, at least `length` of them (or to the end). */
  window(offset: number, length: number): Uint8Array
}

/** A reading position. `lo`, `mid`, `hi` hold the last varint: 28 + 28 + 8 bits. */
export interface Cursor {
  source: Source
  window: Uint8Array
  /** File offset of `window[0]`. */
  base: number
  /** Absolute offset of the next byte. */
  pos: number
  lo: number
  mid: number
  hi: number
  /** Messages and list items that may still be read: bounds memory whatever the file says. */
  items_left: number
  /** Bytes that may still be copied out of a file. */
  copy_bytes_left: number
}

const MAX_ITEMS = 10_000_000
/** A graph without its large weights; the largest real ones are some tens of megabytes. */
const MAX_COPY_BYTES = 512 * 2 ** 20

export const openCursor = (source: Source): Cursor => ({
  source,
  window: source.window(0, 0),
  base: 0,
  pos: 0,
  lo: 0,
  mid: 0,
  hi: 0,
  items_left: MAX_ITEMS,
  copy_bytes_left: source.path === undefined ? Number.POSITIVE_INFINITY : MAX_COPY_BYTES,
})

/** Makes the byte at `pos` (and `length - 1` more, when the file has them) lie in the window; answers its index there. */
const refill = (cursor: Cursor, length: number): number => {
  const { source, pos } = cursor
  if (pos + length > source.size_bytes) {
    throw new OnnxFault(
      'truncated',
      `The file ends at byte ${source.size_bytes}, but the value at byte ${pos} needs ${length} more`,
    )
  }
  cursor.window = source.window(pos, length)
  cursor.base = pos
  return 0
}

const nextByte = (cursor: Cursor): number => {
  let index = cursor.pos - cursor.base
  if (index >= cursor.window.length) index = refill(cursor, 1)
  cursor.pos++
  return cursor.window[index]!
}

/** Reads a varint into `lo`, `mid`, `hi`. */
export const readVarint = (cursor: Cursor): void => {
  const start = cursor.pos
  let byte = nextByte(cursor)
  cursor.lo = byte & 0x7f
  cursor.mid = 0
  cursor.hi = 0
  for (let count = 1; byte >= 0x80; count++) {
    if (count === 10) throw new OnnxFault('not_a_model', `The number at byte ${start} is longer than 10 bytes`)
    byte = nextByte(cursor)
    const bits = (byte & 0x7f) << (7 * (count & 3))
    if (count < 4) cursor.lo |= bits
    else if (count < 8) cursor.mid |= bits
    else cursor.hi = (cursor.hi | bits) & 0xff
  }
}

/** The last varint as a signed 32-bit number. */
export const asInt32 = (cursor: Cursor): number => cursor.lo | (cursor.mid << 28)

/** The upper half of the last varint, signed. */
export const highHalf = (cursor: Cursor): number => (cursor.mid >>> 4) | (cursor.hi << 24)

/** The last varint as a signed 64-bit number when it is exact as a double. */
export const asSafeInteger = (cursor: Cursor): number => {
  const { lo, mid, hi } = cursor
  const value =
    hi < 0x80
      ? lo + mid * 2 ** 28 + hi * 2 ** 56
      : -((~lo & 0xfffffff) + (~mid & 0xfffffff) * 2 ** 28 + (~hi & 0xff) * 2 ** 56) - 1
  if (!Number.isSafeInteger(value)) throw new OnnxFault('unsupported', `The number ending at byte ${cursor.pos} is beyond ±2^53`)
  return value
}

export const asBigInt = (cursor: Cursor): bigint => (BigInt(highHalf(cursor)) << 32n) | BigInt(asInt32(cursor) >>> 0)

/** `length` bytes: a view of the window in memory, a copy from a file. */
export const readBytes = (cursor: Cursor, length: number): Uint8Array => {
  let index = cursor.pos - cursor.base
  spendBytes(cursor, length)
  if (index < 0 || index + length > cursor.window.length) index = length === 0 ? 0 : refill(cursor, length)
  cursor.pos += length
  if (cursor.source.path === undefined) return cursor.window.subarray(index, index + length)
  return cursor.window.slice(index, index + length)
}

const spendBytes = (cursor: Cursor, length: number): void => {
  cursor.copy_bytes_left -= length
  if (cursor.copy_bytes_left < 0)
    throw new OnnxFault('unsupported', `The graph without its weights is larger than ${MAX_COPY_BYTES} bytes`)
}

/** A message costs more memory than a string or a number; a budget of ten million is 1.25 million messages. */
export const MESSAGE_COST = 8

export const spendItems = (cursor: Cursor, cost: number): void => {
  cursor.items_left -= cost
  if (cursor.items_left < 0)
    throw new OnnxFault('unsupported', `The file holds more than ${MAX_ITEMS} values, or ${MAX_ITEMS / MESSAGE_COST} messages`)
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A string; names in ONNX are short and ASCII, which is decoded here because calling into the runtime costs more. */
export const readString = (cursor: Cursor, length: number): string => {
  const start = cursor.pos
  const bytes = readBytes(cursor, length)
  if (length < 24) {
    let text = ''
    for (let index = 0; index < length; index++) {
      const byte = bytes[index]!
      if (byte >= 0x80) break
      text += String.fromCharCode(byte)
    }
    if (text.length === length) return text
  }
  try {
    return strictUtf8.decode(bytes)
  } catch (cause) {
    throw new OnnxFault('not_a_model', `The text at byte ${start} is not UTF-8`, cause)
  }
}
