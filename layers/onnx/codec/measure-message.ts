import {
  asBig,
  asBytes,
  asList,
  asMessage,
  asNumber,
  asNumbers,
  asText,
  eachInteger,
  rangeOf,
  unknownFields,
  wrongKind,
} from './field-values.ts'
import { isArrayKind, isFixedWidth, type NumberArray } from './growing.ts'
import { type LooseMessage, type MessageTable, type NamedField, tables } from './tables.ts'

/**
 * Sizes found by the first pass in the order the second pass needs them: one number per sub-message and per packed list of
 * varints. Keeps writing linear in the depth of nesting.
 */
export interface Sizes {
  bytes: number[]
  next: number
}

/** Two passes over one message: `measure` first, then `write` with the same `sizes`. */
export const measureMessage = (table: MessageTable, message: LooseMessage, sizes: Sizes): number => {
  let total = 0
  for (const field of table.fields) total += measureField(field, message, sizes)
  for (const bytes of unknownFields(message)) total += bytes.length
  return total
}

export const startSizes = (): Sizes => ({ bytes: [], next: 0 })

const varintBytes = (low: number, high: number): number => {
  if (high === 0) return low < 0x80 ? 1 : low < 0x4000 ? 2 : low < 0x200000 ? 3 : low < 0x10000000 ? 4 : 5
  return high < 8 ? 5 : high < 0x400 ? 6 : high < 0x20000 ? 7 : high < 0x1000000 ? 8 : high < 0x80000000 ? 9 : 10
}
const sizeOfLength = (length: number): number => varintBytes(length, 0)
const sizeOfNumber = (value: number): number => varintBytes(value >>> 0, Math.floor(value / 2 ** 32) >>> 0)
const sizeOfBigInt = (value: bigint): number => varintBytes(Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn))

const measureField = (field: NamedField, message: LooseMessage, sizes: Sizes): number => {
  const range = rangeOf(message, field.name)
  const tag = sizeOfLength(field.number << 3)
  if (range) return tag + sizeOfLength(range.size_bytes) + range.size_bytes
  const value = message[field.name]
  if (value === undefined) return 0
  if (isArrayKind(field.kind)) return measureNumbers(field, asNumbers(field, value), sizes, tag)
  const delimited = (length: number): number => tag + sizeOfLength(length) + length
  switch (field.kind) {
    case 'int32':
    case 'int64':
      return tag + sizeOfNumber(asNumber(field, value))
    case 'bigint':
      return tag + sizeOfBigInt(asBig(field, value))
    case 'float':
      return tag + 4
    case 'string':
      return delimited(Buffer.byteLength(asText(field, value)))
    case 'bytes':
      return delimited(asBytes(field, value).length)
    case 'strings':
      return asList(field, value).reduce<number>((sum, item) => sum + delimited(Buffer.byteLength(asText(field, item))), 0)
    case 'byteses':
      return asList(field, value).reduce<number>((sum, item) => sum + delimited(asBytes(field, item).length), 0)
    case 'int64s':
      return asList(field, value).reduce<number>((sum, item) => sum + tag + sizeOfNumber(asNumber(field, item)), 0)
    case 'message':
      return delimited(measureChild(field.message, asMessage(field, value), sizes))
    case 'messages':
      return asList(field, value).reduce<number>(
        (sum, item) => sum + delimited(measureChild(field.message, asMessage(field, item), sizes)),
        0,
      )
    default:
      throw wrongKind(field)
  }
}

const measureChild = (name: string, message: LooseMessage, sizes: Sizes): number => {
  const slot = sizes.bytes.push(0) - 1
  const size = measureMessage(tables[name]!, message, sizes)
  sizes.bytes[slot] = size
  return size
}

const measureNumbers = (field: NamedField, values: NumberArray, sizes: Sizes, tag: number): number => {
  if (values.length === 0) return 0
  const packed = 'packed' in field && field.packed
  let size = 0
  if (isArrayKind(field.kind) && isFixedWidth(field.kind)) size = values.byteLength
  else {
    eachInteger(values, (low, high) => {
      size += varintBytes(low, high)
    })
  }
  if (!packed) return size + tag * values.length
  sizes.bytes.push(size)
  return tag + sizeOfLength(size) + size
}
