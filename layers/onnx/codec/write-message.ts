import {
  asBig,
  asBytes,
  asMessage,
  asNumber,
  asNumbers,
  asText,
  bytesOf,
  eachInteger,
  rangeOf,
  unknownFields,
  wrongKind,
} from './field-values.ts'
import { isArrayKind, isFixedWidth, type NumberArray } from './growing.ts'
import type { Sizes } from './measure-message.ts'
import type { Sink } from './sink.ts'
import { type LooseMessage, type MessageTable, type NamedField, tables } from './tables.ts'

/** Second pass: writes a message whose `sizes` `measureMessage` has just found. */
export const writeMessage = (sink: Sink, table: MessageTable, message: LooseMessage, sizes: Sizes): void => {
  for (const field of table.fields) writeField(sink, field, message, sizes)
  for (const bytes of unknownFields(message)) sink.bytes(bytes)
}

const writeField = (sink: Sink, field: NamedField, message: LooseMessage, sizes: Sizes): void => {
  const range = rangeOf(message, field.name)
  const value = message[field.name]
  if (range) {
    sink.length(field.number, range.size_bytes)
    sink.range(range)
  } else if (value === undefined) return
  else if (isArrayKind(field.kind)) writeNumbers(sink, field, asNumbers(field, value), sizes)
  else if (Array.isArray(value)) for (const item of value) writeOne(sink, field, item, sizes)
  else writeOne(sink, field, value, sizes)
}

const writeOne = (sink: Sink, field: NamedField, value: unknown, sizes: Sizes): void => {
  const { number } = field
  switch (field.kind) {
    case 'int32':
    case 'int64':
    case 'int64s': {
      const whole = asNumber(field, value)
      sink.tag(number, 0)
      sink.varint(whole >>> 0, Math.floor(whole / 2 ** 32) >>> 0)
      break
    }
    case 'bigint': {
      const whole = asBig(field, value)
      sink.tag(number, 0)
      sink.varint(Number(whole & 0xffffffffn), Number((whole >> 32n) & 0xffffffffn))
      break
    }
    case 'float':
      sink.tag(number, 5)
      sink.bytes(bytesOf(Float32Array.of(asNumber(field, value))))
      break
    case 'string':
    case 'strings':
      sink.text(number, asText(field, value))
      break
    case 'bytes':
    case 'byteses': {
      const bytes = asBytes(field, value)
      sink.length(number, bytes.length)
      sink.bytes(bytes)
      break
    }
    case 'message':
    case 'messages':
      sink.length(number, sizes.bytes[sizes.next++]!)
      writeMessage(sink, tables[field.message]!, asMessage(field, value), sizes)
      break
    default:
      throw wrongKind(field)
  }
}

const writeNumbers = (sink: Sink, field: NamedField, values: NumberArray, sizes: Sizes): void => {
  if (values.length === 0) return
  const fixed = isArrayKind(field.kind) && isFixedWidth(field.kind)
  if ('packed' in field && field.packed) {
    sink.length(field.number, sizes.bytes[sizes.next++]!)
    if (fixed) sink.bytes(bytesOf(values))
    else eachInteger(values, sink.varint)
    return
  }
  const width = values.BYTES_PER_ELEMENT
  const bytes = fixed ? bytesOf(values) : undefined
  if (bytes) {
    for (let offset = 0; offset < bytes.length; offset += width) {
      sink.tag(field.number, width === 4 ? 5 : 1)
      sink.bytes(bytes.subarray(offset, offset + width))
    }
    return
  }
  eachInteger(values, (low, high) => {
    sink.tag(field.number, 0)
    sink.varint(low, high)
  })
}
