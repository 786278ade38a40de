import { createReadStream } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { PlatformError } from '../core/contract/errors.ts'

/**
 * As much of the tar format (POSIX.1-2001: ustar with pax headers for long paths and sizes of 8 GiB and more) as backups and model
 * archives need, so that `tar -x` opens it without us.
 */
const block_bytes = 512
const ustar_size_limit = 8 * 1024 ** 3

export interface TarEntry {
  path: string
  size_bytes: number
  /** Position of the content in the archive. */
  start: number
}

/** The header blocks in front of one file's content. `modified_s` is Unix seconds. */
export const tarHeader = (path: string, size_bytes: number, modified_s: number): Buffer => {
  if (Buffer.byteLength(path) <= 100 && size_bytes < ustar_size_limit) return block(path, size_bytes, modified_s, '0')
  const pax = Buffer.from(paxRecord('path', path) + paxRecord('size', String(size_bytes)))
  const short = Buffer.from(path)
    .subarray(-100)
    .toString('latin1')
    .replace(/[^\x20-\x7e]/g, '_')
  return Buffer.concat([
    block('pax', pax.byteLength, modified_s, 'x'),
    pax,
    padding(pax.byteLength),
    block(short, Math.min(size_bytes, ustar_size_limit - 1), modified_s, '0'),
  ])
}

/** Zeros up to the next block. */
export const padding = (size_bytes: number): Buffer => Buffer.alloc((block_bytes - (size_bytes % block_bytes)) % block_bytes)

export const tar_end = Buffer.alloc(2 * block_bytes)

/** One file of an archive to be written: its bytes, a part of a file of this machine, or what gives them piece by piece. */
export type TarSource = { path: string } & (
  | { bytes: Uint8Array }
  | { file: string; start?: number; size_bytes: number }
  | { pieces(): AsyncIterable<Uint8Array>; size_bytes: number }
)

/** A whole archive, piece by piece; the same sources always give the same bytes. */
export async function* tarArchive(sources: readonly TarSource[], modified_s = 0): AsyncGenerator<Uint8Array> {
  for (const source of sources) {
    const size_bytes = 'bytes' in source ? source.bytes.byteLength : source.size_bytes
    yield tarHeader(source.path, size_bytes, modified_s)
    if ('bytes' in source) yield source.bytes
    else if ('pieces' in source) yield* source.pieces()
    else if (size_bytes > 0) {
      const start = source.start ?? 0
      for await (const piece of createReadStream(source.file, { start, end: start + size_bytes - 1 })) yield piece
    }
    yield padding(size_bytes)
  }
  yield tar_end
}

const block = (name: string, size_bytes: number, modified_s: number, type: '0' | 'x'): Buffer => {
  const header = Buffer.alloc(block_bytes)
  header.write(name, 0, 100)
  const octal = (value: number, at: number, width: number) =>
    header.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1')
  octal(0o600, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(size_bytes, 124, 12)
  octal(modified_s, 136, 12)
  header.write(type, 156)
  header.write('ustar\x0000', 257, 'latin1')
  header.write(`${checksumOf(header).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}

/** Sum of the header's bytes, its own field taken as spaces. */
const checksumOf = (header: Buffer): number => header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0)

/** `<length> <name>=<value>\n`, where the length counts itself. */
const paxRecord = (name: string, value: string): string => {
  const rest_bytes = Buffer.byteLength(` ${name}=${value}\n`)
  let length = rest_bytes
  while (String(length).length + rest_bytes !== length) length = String(length).length + rest_bytes
  return `${length} ${name}=${value}\n`
}

const damaged = (detail: string) => new PlatformError('invalid_request', `Not a whole backup: ${detail}`)

/** The files of an archive, one after another. Fails with `invalid_request` where the archive is damaged, cut short, or another kind. */
export async function* tarEntries(file: FileHandle): AsyncGenerator<TarEntry> {
  let pax: Record<string, string> = {}
  for (let at = 0; ; ) {
    const header = await readExactly(file, at, block_bytes)
    if (header.every((byte) => byte === 0)) return
    const size = Number.parseInt(header.toString('latin1', 124, 135), 8)
    const checksum = Number.parseInt(header.toString('latin1', 148, 154), 8)
    if (checksum !== checksumOf(header) || !isSize(size)) throw damaged(`there is no header at byte ${at}`)
    const type = header.toString('latin1', 156, 157)
    const start = at + block_bytes
    if (type === 'x') {
      pax = paxRecords(await readExactly(file, start, Math.min(size, 64 * 1024)))
    } else if (type === '5') {
      pax = {}
    } else if (type === '0' || type === '\0') {
      const size_bytes = pax.size === undefined ? size : Number(pax.size)
      if (!isSize(size_bytes)) throw damaged(`the size ${pax.size} at byte ${at} is no size`)
      yield { path: pax.path ?? textUntilNul(header.subarray(0, 100)), size_bytes, start }
      at = start + size_bytes + padding(size_bytes).byteLength
      pax = {}
      continue
    } else throw damaged(`entry of type ${JSON.stringify(type)} at byte ${at}, wanted files only`)
    at = start + size + padding(size).byteLength
  }
}

const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

const readExactly = async (file: FileHandle, position: number, size_bytes: number): Promise<Buffer> => {
  const buffer = Buffer.alloc(size_bytes)
  const { bytesRead } = await file.read(buffer, 0, size_bytes, position)
  if (bytesRead < size_bytes) throw damaged(`it ends at byte ${position + bytesRead}`)
  return buffer
}

const textUntilNul = (bytes: Buffer): string => bytes.subarray(0, bytes.includes(0) ? bytes.indexOf(0) : bytes.length).toString()

const paxRecords = (bytes: Buffer): Record<string, string> => {
  const records: Record<string, string> = {}
  for (let at = 0; at < bytes.length; ) {
    const length = Number.parseInt(bytes.toString('latin1', at, at + 20), 10)
    if (!(length > 0)) throw damaged('a pax header is not readable')
    const record = bytes.toString('utf8', at, at + length - 1)
    const [name = '', value = ''] = [
      record.slice(record.indexOf(' ') + 1, record.indexOf('=')),
      record.slice(record.indexOf('=') + 1),
    ]
    records[name] = value
    at += length
  }
  return records
}
