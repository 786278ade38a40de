import { createReadStream } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { createInflateRaw } from 'node:zlib'
import { PlatformError } from '../core/contract/errors.ts'
import type { TarSource } from './tar.ts'

const END = 0x06054b50
const ENTRY = 0x02014b50
const FULL_32 = 0xffffffff
const METHODS: Record<number, 'stored' | 'deflated'> = { 0: 'stored', 8: 'deflated' }

const damaged = (detail: string): PlatformError => new PlatformError('invalid_model', `Not a whole zip archive: ${detail}`)

const at = async (file: FileHandle, position: number, size_bytes: number): Promise<Buffer> => {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(size_bytes), 0, size_bytes, position)
  if (bytesRead < size_bytes) throw damaged(`it ends at byte ${position + bytesRead}`)
  return buffer
}

/**
 * The files of a zip archive (APPNOTE 4.3, stored or deflated, below 4 GiB) as entries of a tar archive to be written. Stored ones are
 * read where they are. Fails with `invalid_model` where it is damaged, encrypted, or a path leads out of it.
 */
export const zipSources = async (file: FileHandle, path: string): Promise<TarSource[]> => {
  const { size } = await file.stat()
  const tail_at = Math.max(0, size - 65_557)
  const tail = await at(file, tail_at, size - tail_at)
  const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]))
  if (end < 0 || end + 22 > tail.length || tail.readUInt32LE(end) !== END) throw damaged('it has no directory')
  const directory = await at(file, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12))
  const sources: TarSource[] = []
  for (let next = 0; next + 46 <= directory.length; ) {
    if (directory.readUInt32LE(next) !== ENTRY) throw damaged('its directory is not readable')
    const lengths = [directory.readUInt16LE(next + 28), directory.readUInt16LE(next + 30), directory.readUInt16LE(next + 32)]
    const name = directory.toString('utf8', next + 46, next + 46 + (lengths[0] ?? 0))
    if (!name.endsWith('/')) sources.push(await source(file, path, name, directory.subarray(next, next + 46)))
    next += 46 + lengths.reduce((sum, length) => sum + length, 0)
  }
  return sources
}

const source = async (file: FileHandle, path: string, name: string, entry: Buffer): Promise<TarSource> => {
  const method = METHODS[entry.readUInt16LE(10)]
  const [packed, size_bytes, header] = [entry.readUInt32LE(20), entry.readUInt32LE(24), entry.readUInt32LE(42)]
  if (method === undefined || (entry.readUInt16LE(8) & 1) !== 0 || [packed, size_bytes, header].includes(FULL_32))
    throw damaged(`${name} is encrypted, larger than 4 GiB or packed in a way this does not read`)
  if (name.startsWith('/') || name.split('/').includes('..')) throw damaged(`${name} leads out of it`)
  const local = await at(file, header, 30)
  const start = header + 30 + local.readUInt16LE(26) + local.readUInt16LE(28)
  if (method === 'stored') return { path: name, file: path, start, size_bytes }
  return { path: name, size_bytes, pieces: () => inflated(path, start, packed, size_bytes) }
}

async function* inflated(path: string, start: number, packed_bytes: number, size_bytes: number): AsyncGenerator<Uint8Array> {
  let given = 0
  const stream = createReadStream(path, { start, end: start + packed_bytes - 1 }).pipe(createInflateRaw())
  for await (const piece of stream) {
    given += piece.length
    if (given > size_bytes) throw damaged('a file is larger than its directory says')
    yield piece
  }
  if (given < size_bytes) throw damaged('a file is smaller than its directory says')
}
