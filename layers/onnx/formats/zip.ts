import { inflateRawSync } from 'node:zlib'
import { OnnxFault } from '../fault.ts'
import type { FileWindow } from './file-window.ts'

export interface ZipEntry {
  name: string
  size_bytes: number
  packed_bytes: number
  method: number
  header_offset: number
}

/** Limits against archive bombs: real models have some thousand entries at most and hardly compress. */
const MAX_ENTRIES = 20_000
const MAX_RATIO = 200
const RATIO_FROM_BYTES = 64 * 2 ** 20
const MAX_ENTRY_READ_BYTES = 16 * 2 ** 20

const END = 0x06054b50
const END64_LOCATOR = 0x07064b50
const END64 = 0x06064b50
const ENTRY = 0x02014b50

interface Directory {
  count: number
  size_bytes: number
  offset: number
}

const findDirectory = (file: FileWindow): Directory => {
  const tail_bytes = Math.min(file.size_bytes, 65_557)
  const tail = file.bytes(file.size_bytes - tail_bytes, tail_bytes)
  let at = tail.length - 22
  while (at >= 0 && tail.readUInt32LE(at) !== END) at--
  if (at < 0) throw new OnnxFault('truncated', `The zip archive ends at byte ${file.size_bytes} without its directory`)
  const plain = { count: tail.readUInt16LE(at + 10), size_bytes: tail.readUInt32LE(at + 12), offset: tail.readUInt32LE(at + 16) }
  if (at < 20 || tail.readUInt32LE(at - 20) !== END64_LOCATOR) return plain
  const record = file.bytes(Number(tail.readBigUInt64LE(at - 12)), 56)
  if (record.readUInt32LE(0) !== END64) throw new OnnxFault('not_a_model', 'The zip archive has a broken 64-bit directory')
  return {
    count: Number(record.readBigUInt64LE(32)),
    size_bytes: Number(record.readBigUInt64LE(40)),
    offset: Number(record.readBigUInt64LE(48)),
  }
}

/**
 * The directory of a zip archive; nothing is unpacked.
 * @throws OnnxFault truncated, not_a_model, unsafe (too many entries, absurd compression, names that leave the folder)
 */
export const zipEntries = (file: FileWindow): ZipEntry[] => {
  const { count, size_bytes, offset } = findDirectory(file)
  if (count > MAX_ENTRIES) throw new OnnxFault('unsafe', `The zip archive lists ${count} entries; the limit is ${MAX_ENTRIES}`)
  const directory = file.bytes(offset, size_bytes)
  const entries: ZipEntry[] = []
  for (let at = 0; at + 46 <= directory.length && directory.readUInt32LE(at) === ENTRY; ) {
    if (entries.length >= MAX_ENTRIES) throw new OnnxFault('unsafe', `The zip archive lists more than ${MAX_ENTRIES} entries`)
    const entry = readEntry(directory, at)
    entries.push(entry.value)
    at = entry.next
  }
  if (entries.length < count)
    throw new OnnxFault('not_a_model', `The zip archive announces ${count} entries, but lists ${entries.length}`)
  checkEntries(entries, file.size_bytes)
  return entries
}

const readEntry = (directory: Buffer, at: number): { value: ZipEntry; next: number } => {
  const name_bytes = directory.readUInt16LE(at + 28)
  const extra_bytes = directory.readUInt16LE(at + 30)
  const name = directory.toString('utf8', at + 46, at + 46 + name_bytes)
  const extra = directory.subarray(at + 46 + name_bytes, at + 46 + name_bytes + extra_bytes)
  const wide = wideNumbers(extra)
  const number = (position: number): number => {
    const value = directory.readUInt32LE(at + position)
    return value === 0xffffffff && wide.length > 0 ? wide.shift()! : value
  }
  // The 64-bit values stand in this order, and only those that did not fit.
  const size_bytes = number(24)
  const packed_bytes = number(20)
  const header_offset = number(42)
  const next = at + 46 + name_bytes + extra_bytes + directory.readUInt16LE(at + 32)
  return { value: { name, size_bytes, packed_bytes, method: directory.readUInt16LE(at + 10), header_offset }, next }
}

const wideNumbers = (extra: Buffer): number[] => {
  for (let at = 0; at + 4 <= extra.length; ) {
    const length = extra.readUInt16LE(at + 2)
    if (extra.readUInt16LE(at) === 1) {
      const body = extra.subarray(at + 4, at + 4 + length)
      return Array.from({ length: Math.floor(body.length / 8) }, (_, index) => Number(body.readBigUInt64LE(index * 8)))
    }
    at += 4 + length
  }
  return []
}

const checkEntries = (entries: readonly ZipEntry[], archive_bytes: number): void => {
  const unpacked = entries.reduce((sum, entry) => sum + entry.size_bytes, 0)
  if (unpacked > RATIO_FROM_BYTES && unpacked > archive_bytes * MAX_RATIO) {
    throw new OnnxFault(
      'unsafe',
      `The zip archive of ${archive_bytes} bytes would unpack to ${unpacked}, more than ${MAX_RATIO} times as much`,
    )
  }
  for (const { name } of entries) checkArchiveName(name)
}

/** @throws OnnxFault unsafe for a name that would leave the folder it is unpacked in */
export const checkArchiveName = (name: string): void => {
  const bad =
    name.includes('\0') || name.includes('\\') || name.startsWith('/') || /^[a-z]:/i.test(name) || name.split('/').includes('..')
  if (bad)
    throw new OnnxFault(
      'unsafe',
      `The archive holds ${JSON.stringify(name.slice(0, 200))}, which would leave the folder it is unpacked in`,
    )
}

/** The content of one small entry, or undefined when it is larger than 16 MB or packed in an unusual way. */
export const readZipEntry = (file: FileWindow, entry: ZipEntry): Buffer | undefined => {
  if (entry.size_bytes > MAX_ENTRY_READ_BYTES || entry.packed_bytes > MAX_ENTRY_READ_BYTES) return undefined
  const header = file.bytes(entry.header_offset, 30)
  const start = entry.header_offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28)
  const packed = file.bytes(start, entry.packed_bytes)
  if (entry.method === 0) return packed
  if (entry.method !== 8) return undefined
  try {
    return inflateRawSync(packed, { maxOutputLength: MAX_ENTRY_READ_BYTES })
  } catch (cause) {
    throw new OnnxFault('not_a_model', `The archive's entry ${JSON.stringify(entry.name.slice(0, 200))} does not unpack`, cause)
  }
}
