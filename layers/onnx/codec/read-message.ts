import { OnnxFault } from '../fault.ts'
import {
  asBigInt,
  asInt32,
  asSafeInteger,
  type Cursor,
  MESSAGE_COST,
  readBytes,
  readString,
  readVarint,
  spendItems,
} from './cursor.ts'
import {
  finishGrowing,
  type Growing,
  growByOne,
  growByPacked,
  isArrayKind,
  isFixedWidth,
  startGrowing,
  widthOf,
} from './growing.ts'
import { emptyMessage, type LooseMessage, type MessageTable, type NamedField, tables } from './tables.ts'

/** Nesting that ONNX Runtime's own parser accepts; deeper files are refused alike. */
const MAX_DEPTH = 100
/** Weights at least this large stay in the file when a model is read through `readModelFile`. */
const LAZY_BYTES = 4096

/** Wire types of the protobuf encoding. */
const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5

interface Reading {
  cursor: Cursor
  table: MessageTable
  message: LooseMessage
  /** Repeated numbers under way, by field name; made when the first comes. */
  growing: Map<string, Growing> | undefined
  depth: number
  /** First byte after the message. */
  end: number
}

/** Reads the fields up to `end` into `message`; fields seen before are merged as protobuf demands. */
export const readMessage = (cursor: Cursor, table: MessageTable, message: LooseMessage, end: number, depth: number): void => {
  if (depth > MAX_DEPTH) throw new OnnxFault('unsupported', `Messages nest deeper than ${MAX_DEPTH} at byte ${cursor.pos}`)
  const reading: Reading = { cursor, table, message, growing: undefined, depth, end }
  while (cursor.pos < end) readField(reading)
  for (const [name, growing] of reading.growing ?? []) message[name] = finishGrowing(growing)
}

const readField = (reading: Reading): void => {
  const { cursor, table } = reading
  const start = cursor.pos
  readVarint(cursor)
  const tag = asInt32(cursor) >>> 0
  if (cursor.mid > 15 || cursor.hi > 0 || tag < 8)
    throw new OnnxFault('not_a_model', `Byte ${start} is not the start of a field (tag ${tag})`)
  const wire = tag & 7
  const length = lengthOf(reading, wire, start)
  const value_end = cursor.pos + length
  const field = table.by_number[tag >>> 3]
  if (!field || !readKnown(reading, field, wire, length)) keepUnknown(reading, start, wire, length)
  if (cursor.pos > reading.end || (wire === LENGTH && cursor.pos !== value_end)) {
    throw new OnnxFault('not_a_model', `The field at byte ${start} does not end where it says`)
  }
}

/** Bytes of the value that follow; 0 for a varint, whose length is not known yet. */
const lengthOf = ({ cursor, end, depth }: Reading, wire: number, start: number): number => {
  if (wire === VARINT) return 0
  if (wire === FIXED32) return 4
  if (wire === FIXED64) return 8
  if (wire !== LENGTH)
    throw new OnnxFault('not_a_model', `The field at byte ${start} has wire type ${wire}, which ONNX never uses`)
  readVarint(cursor)
  const length = cursor.hi === 0 ? cursor.lo + cursor.mid * 2 ** 28 : Number.POSITIVE_INFINITY
  if (cursor.pos + length <= end) return length
  const { size_bytes } = cursor.source
  if (depth === 0 && length < 2 ** 31) {
    throw new OnnxFault(
      'truncated',
      `The file ends at byte ${size_bytes}, but the field at byte ${start} announces ${length} bytes`,
    )
  }
  throw new OnnxFault('not_a_model', `The field at byte ${start} announces ${length} bytes, but its message ends at byte ${end}`)
}

const keepUnknown = ({ cursor, message }: Reading, start: number, wire: number, length: number): void => {
  if (wire === VARINT) readVarint(cursor)
  else cursor.pos += length
  const end = cursor.pos
  cursor.pos = start
  spendItems(cursor, 1)
  const bytes = readBytes(cursor, end - start)
  const kept = message.unknown_fields
  if (Array.isArray(kept)) kept.push(bytes)
  else message.unknown_fields = [bytes]
}

/** Reads a listed field; false when its wire type is not one the field can have (protobuf then treats it as unknown). */
const readKnown = (reading: Reading, field: NamedField, wire: number, length: number): boolean => {
  const { cursor, message } = reading
  if (field.oneof && wire === (field.kind === 'int64' ? VARINT : LENGTH)) {
    for (const other of reading.table.oneofs) if (other !== field.name) delete message[other]
  }
  if (isArrayKind(field.kind)) return readNumbers(reading, field, wire, length)
  switch (field.kind) {
    case 'int32':
    case 'int64':
    case 'bigint':
      if (wire !== VARINT) return false
      readVarint(cursor)
      message[field.name] =
        field.kind === 'int32' ? asInt32(cursor) : field.kind === 'int64' ? asSafeInteger(cursor) : asBigInt(cursor)
      return true
    case 'int64s':
      return readDims(reading, field, wire, length)
    case 'float':
      if (wire !== FIXED32) return false
      message[field.name] = floatOf(readBytes(cursor, 4))
      return true
    default:
      return wire === LENGTH && readLengthDelimited(reading, field, length)
  }
}

const floatOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true)

const readLengthDelimited = (reading: Reading, field: NamedField, length: number): boolean => {
  const { cursor, message, depth } = reading
  spendItems(cursor, 1)
  switch (field.kind) {
    case 'string':
      message[field.name] = readString(cursor, length)
      return true
    case 'strings':
      listOf(message, field.name).push(readString(cursor, length))
      return true
    case 'bytes':
      if (leaveInFile(reading, field, length)) return true
      message[field.name] = readBytes(cursor, length)
      delete message.ranges
      return true
    case 'byteses':
      listOf(message, field.name).push(readBytes(cursor, length))
      return true
    case 'message':
    case 'messages': {
      spendItems(cursor, MESSAGE_COST)
      const table = tables[field.message]!
      const existing = field.kind === 'message' ? message[field.name] : undefined
      const child = isLoose(existing) ? existing : emptyMessage(table)
      if (field.kind === 'messages') listOf(message, field.name).push(child)
      else message[field.name] = child
      readMessage(cursor, table, child, cursor.pos + length, depth + 1)
      return true
    }
    default:
      return false
  }
}

const isLoose = (value: unknown): value is LooseMessage => typeof value === 'object' && value !== null
const listOf = (message: LooseMessage, name: string): unknown[] => {
  const list = message[name]
  if (!Array.isArray(list)) throw new OnnxFault('not_a_model', `${name} is no list`)
  return list
}

/** Leaves large weights where they are; false when the bytes must be read. */
const leaveInFile = ({ cursor, message }: Reading, field: NamedField, length: number): boolean => {
  const { path } = cursor.source
  if (path === undefined || !('lazy' in field) || !field.lazy || length < LAZY_BYTES) return false
  const ranges = isLoose(message.ranges) ? message.ranges : {}
  ranges[field.name] = { path, offset: cursor.pos, size_bytes: length }
  message.ranges = ranges
  delete message[field.name]
  cursor.pos += length
  return true
}

const readDims = ({ cursor, message }: Reading, field: NamedField, wire: number, length: number): boolean => {
  if (wire !== VARINT && wire !== LENGTH) return false
  const dims = listOf(message, field.name)
  const end = wire === VARINT ? cursor.pos + 1 : cursor.pos + length
  while (cursor.pos < end) {
    spendItems(cursor, 1)
    readVarint(cursor)
    dims.push(asSafeInteger(cursor))
  }
  return true
}

const readNumbers = (reading: Reading, field: NamedField, wire: number, length: number): boolean => {
  const { cursor, message } = reading
  if (!isArrayKind(field.kind)) return false
  const fixed = isFixedWidth(field.kind)
  const width = widthOf(field.kind)
  const single = fixed ? (width === 4 ? FIXED32 : FIXED64) : VARINT
  if (wire !== LENGTH && wire !== single) return false
  if (wire === LENGTH && fixed && length % width !== 0) {
    throw new OnnxFault(
      'not_a_model',
      `${field.name} at byte ${cursor.pos} has ${length} bytes, which is no multiple of ${width}`,
    )
  }
  const existing = message[field.name]
  const fresh = existing === undefined && !reading.growing?.has(field.name)
  if (isLoose(message.ranges) && message.ranges[field.name] !== undefined) {
    throw new OnnxFault('unsupported', `${field.name} at byte ${cursor.pos} is stored in several pieces`)
  }
  if (wire === LENGTH && fresh && leaveInFile(reading, field, length)) return true
  const numbers = reading.growing?.get(field.name) ?? startGrowing(field.kind, existing)
  reading.growing ??= new Map()
  reading.growing.set(field.name, numbers)
  if (wire === LENGTH) growByPacked(numbers, cursor, length)
  else growByOne(numbers, cursor)
  return true
}
