import { asInt32, type Cursor, highHalf, readBytes, readVarint } from './cursor.ts'
import type { ArrayKind } from './fields.ts'

export type NumberArray = Float32Array | Float64Array | Int32Array | BigInt64Array | BigUint64Array

/** Repeated numbers while they are read: little-endian bytes with room to grow, because they may come one by one. */
export interface Growing {
  kind: ArrayKind
  view: DataView<ArrayBuffer>
  size_bytes: number
}

const elementBytes: Record<ArrayKind, number> = {
  float32_array: 4,
  float64_array: 8,
  int32_array: 4,
  int64_array: 8,
  uint64_array: 8,
}

export const isArrayKind = (kind: string): kind is ArrayKind => Object.hasOwn(elementBytes, kind)
export const isFixedWidth = (kind: ArrayKind): boolean => kind === 'float32_array' || kind === 'float64_array'
export const widthOf = (kind: ArrayKind): number => elementBytes[kind]

/** Starts empty, or with the numbers that an earlier piece of the same message brought. */
export const startGrowing = (kind: ArrayKind, earlier: unknown): Growing => {
  if (!ArrayBuffer.isView(earlier)) return { kind, view: new DataView(new ArrayBuffer(0)), size_bytes: 0 }
  const copy = new Uint8Array(earlier.byteLength)
  copy.set(new Uint8Array(earlier.buffer, earlier.byteOffset, earlier.byteLength))
  return { kind, view: new DataView(copy.buffer), size_bytes: copy.length }
}

const reserve = (growing: Growing, more_bytes: number): void => {
  const needed = growing.size_bytes + more_bytes
  const have = growing.view.byteLength
  if (needed <= have) return
  const room = new Uint8Array(growing.size_bytes === 0 ? needed : Math.max(needed, have * 2))
  room.set(new Uint8Array(growing.view.buffer, 0, growing.size_bytes))
  growing.view = new DataView(room.buffer)
}

/** Reads one element in its own wire form (varint, 4 or 8 bytes). */
export const growByOne = (growing: Growing, cursor: Cursor): void => {
  const width = elementBytes[growing.kind]
  reserve(growing, width)
  if (isFixedWidth(growing.kind)) new Uint8Array(growing.view.buffer).set(readBytes(cursor, width), growing.size_bytes)
  else {
    readVarint(cursor)
    growing.view.setInt32(growing.size_bytes, asInt32(cursor), true)
    if (width === 8) growing.view.setInt32(growing.size_bytes + 4, highHalf(cursor), true)
  }
  growing.size_bytes += width
}

/** Reads a packed field of `length` bytes. */
export const growByPacked = (growing: Growing, cursor: Cursor, length: number): void => {
  if (isFixedWidth(growing.kind)) {
    reserve(growing, length)
    new Uint8Array(growing.view.buffer).set(readBytes(cursor, length), growing.size_bytes)
    growing.size_bytes += length
    return
  }
  const end = cursor.pos + length
  // Most stored integers take one or two bytes; reserving for the bytes there are never reserves too little by more than one doubling.
  reserve(growing, Math.min(length, 2 ** 20) * elementBytes[growing.kind])
  while (cursor.pos < end) growByOne(growing, cursor)
}

/** The finished typed array, trimmed to what was read. */
export const finishGrowing = (growing: Growing): NumberArray => {
  const { view, size_bytes, kind } = growing
  const buffer = view.byteLength === size_bytes ? view.buffer : view.buffer.slice(0, size_bytes)
  const length = size_bytes / elementBytes[kind]
  switch (kind) {
    case 'float32_array':
      return new Float32Array(buffer, 0, length)
    case 'float64_array':
      return new Float64Array(buffer, 0, length)
    case 'int32_array':
      return new Int32Array(buffer, 0, length)
    case 'int64_array':
      return new BigInt64Array(buffer, 0, length)
    case 'uint64_array':
      return new BigUint64Array(buffer, 0, length)
  }
}
