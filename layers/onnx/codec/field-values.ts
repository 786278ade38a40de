import { OnnxFault } from '../fault.ts'
import type { NumberArray } from './growing.ts'
import type { FileRange } from './schema.ts'
import type { LooseMessage, NamedField } from './tables.ts'

/** Checked access to the values of a message that the writer is given: a value of the wrong kind is a fault, not a broken file. */

export const rangeOf = (message: LooseMessage, name: string): FileRange | undefined => {
  const { ranges } = message
  return isRanges(ranges) ? ranges[name] : undefined
}
const isRanges = (value: unknown): value is Record<string, FileRange> => typeof value === 'object' && value !== null
export const unknownFields = (message: LooseMessage): Uint8Array[] =>
  Array.isArray(message.unknown_fields) ? message.unknown_fields : []

export const wrongKind = (field: NamedField): OnnxFault =>
  new OnnxFault('not_a_model', `Field ${field.name} must be ${field.kind}`)
export const asList = (field: NamedField, value: unknown): unknown[] => {
  if (!Array.isArray(value)) throw wrongKind(field)
  return value
}
export const asNumber = (field: NamedField, value: unknown): number => {
  if (typeof value !== 'number') throw wrongKind(field)
  return value
}
export const asText = (field: NamedField, value: unknown): string => {
  if (typeof value !== 'string') throw wrongKind(field)
  return value
}
export const asBytes = (field: NamedField, value: unknown): Uint8Array => {
  if (!(value instanceof Uint8Array)) throw wrongKind(field)
  return value
}
export const asBig = (field: NamedField, value: unknown): bigint => {
  if (typeof value !== 'bigint') throw wrongKind(field)
  return value
}
const isLoose = (value: unknown): value is LooseMessage => typeof value === 'object' && value !== null
export const asMessage = (field: NamedField, value: unknown): LooseMessage => {
  if (!isLoose(value)) throw wrongKind(field)
  return value
}
export const asNumbers = (field: NamedField, value: unknown): NumberArray => {
  if (
    value instanceof Float32Array ||
    value instanceof Float64Array ||
    value instanceof Int32Array ||
    value instanceof BigInt64Array ||
    value instanceof BigUint64Array
  ) {
    return value
  }
  throw wrongKind(field)
}
export const bytesOf = (values: NumberArray): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength)

/** Calls `each` with the low and high half of every integer of the list. */
export const eachInteger = (values: NumberArray, each: (low: number, high: number) => void): void => {
  if (values instanceof Int32Array) {
    for (const value of values) each(value >>> 0, value < 0 ? 0xffffffff : 0)
    return
  }
  const halves = new Uint32Array(values.buffer, values.byteOffset, values.length * 2)
  for (let index = 0; index < halves.length; index += 2) each(halves[index]!, halves[index + 1]!)
}
