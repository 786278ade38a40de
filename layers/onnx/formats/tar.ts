import { OnnxFault } from '../fault.ts'
import type { FileWindow } from './file-window.ts'
import { checkArchiveName } from './zip.ts'

const BLOCK_BYTES = 512
const MAX_ENTRIES = 20_000

export interface TarEntry {
  name: string
  size_bytes: number
  data_offset: number
}

export const isTar = (file: FileWindow): boolean => file.upTo(257, 5).toString('latin1') === 'ustar'

/** Octal text, or for large files the base-256 form that GNU tar uses. */
const sizeOf = (header: Buffer): number => {
  if ((header[124]! & 0x80) !== 0) return Number(header.readBigUInt64BE(128))
  const text = header
    .toString('latin1', 124, 136)
    .replace(/[\0 ]+$/, '')
    .trim()
  return /^[0-7]*$/.test(text) ? Number.parseInt(text || '0', 8) : Number.NaN
}

const text = (header: Buffer, from: number, to: number): string => header.toString('utf8', from, to).replace(/\0.*$/s, '')

/** The entries of a tar archive; nothing is unpacked. @throws OnnxFault truncated, not_a_model, unsafe */
export const tarEntries = (file: FileWindow): TarEntry[] => {
  const entries: TarEntry[] = []
  for (let at = 0; at + BLOCK_BYTES <= file.size_bytes; ) {
    const header = file.bytes(at, BLOCK_BYTES)
    if (header[0] === 0) break
    const size_bytes = sizeOf(header)
    if (!Number.isSafeInteger(size_bytes) || size_bytes < 0)
      throw new OnnxFault('not_a_model', `The tar entry at byte ${at} has no readable size`)
    const prefix = text(header, 345, 500)
    const name = (prefix ? `${prefix}/` : '') + text(header, 0, 100)
    checkArchiveName(name)
    if (header[156] === 0x31 || header[156] === 0x32)
      throw new OnnxFault('unsafe', `The archive holds the link ${JSON.stringify(name.slice(0, 200))}`)
    entries.push({ name, size_bytes, data_offset: at + BLOCK_BYTES })
    if (entries.length > MAX_ENTRIES) throw new OnnxFault('unsafe', `The tar archive lists more than ${MAX_ENTRIES} entries`)
    at += BLOCK_BYTES + Math.ceil(size_bytes / BLOCK_BYTES) * BLOCK_BYTES
    if (at > file.size_bytes)
      throw new OnnxFault(
        'truncated',
        `The tar archive ends at byte ${file.size_bytes} within ${JSON.stringify(name.slice(0, 200))}`,
      )
  }
  return entries
}
