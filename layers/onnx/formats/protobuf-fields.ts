import type { FileWindow } from './file-window.ts'

/** One field as it stands in a protobuf message; `end` may lie beyond the file when that is cut off. */
export interface WireField {
  number: number
  wire: number
  /** Value of a varint; length of a length-delimited field. */
  value: number
  start: number
  end: number
}

const readNumber = (file: FileWindow, at: number): { value: number; next: number } | undefined => {
  const bytes = file.upTo(at, 10)
  let value = 0
  for (let index = 0; index < bytes.length; index++) {
    value += (bytes[index]! & 0x7f) * 2 ** (7 * index)
    if (bytes[index]! < 0x80) return { value, next: at + index + 1 }
  }
  return undefined
}

/**
 * The fields of the message in `[from, to)`, until it ends or stops making sense; answers through the last field seen. Never throws
 * for bad bytes: this is for telling formats apart, not for reading them.
 */
export function* wireFields(file: FileWindow, from: number, to: number): Generator<WireField> {
  for (let at = from; at < to; ) {
    const tag = readNumber(file, at)
    if (!tag || tag.value < 8 || tag.value >= 2 ** 32) return
    const wire = tag.value % 8
    const value = wire === 0 || wire === 2 ? readNumber(file, tag.next) : { value: 0, next: tag.next }
    if (!value || ![0, 1, 2, 5].includes(wire)) return
    const end = value.next + (wire === 2 ? value.value : wire === 1 ? 8 : wire === 5 ? 4 : 0)
    yield { number: Math.floor(tag.value / 8), wire, value: value.value, start: value.next, end }
    at = end
  }
}
