import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { PlatformError } from '../core/contract/errors.ts'
import type { CompactInfo, Compaction } from '../core/ports/artifacts.ts'
import { differs, least_saving, measured } from './compacting.ts'
import { compressed_end, diskError, fileSize, type OpenObject, objectPath, openObject, place } from './disk-files.ts'
import { discardFile, publish } from './disk-hold.ts'
import { type OpenFile, writeBody } from './disk-write.ts'
import { badRange, drop } from './streaming.ts'
import { compressFrames, decompressRange, type Frame, originalSize, readFrames } from './zstd-frames.ts'

const readAt =
  (handle: FileHandle) =>
  async (position: number, length: number): Promise<Buffer> => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position)
    return buffer.subarray(0, bytesRead)
  }

export const framesOf = ({ handle, stored_bytes }: OpenObject): Promise<Frame[]> => readFrames(stored_bytes, readAt(handle))

/** Takes the handle over: it is closed with the stream. Fails with `invalid_request` for a range outside. */
export const readOpen = async (object: OpenObject, range?: { start: number; end: number }): Promise<Readable> => {
  const { handle, form, stored_bytes } = object
  try {
    const frames = form === 'compressed' ? await framesOf(object) : []
    const size_bytes = form === 'compressed' ? originalSize(frames) : stored_bytes
    if (range && (range.start < 0 || range.start >= size_bytes || range.end < range.start)) throw badRange(range, size_bytes)
    const whole = { start: range?.start ?? 0, end: Math.min(range?.end ?? size_bytes - 1, size_bytes - 1) }
    if (form === 'plain') return handle.createReadStream(range ? whole : {})
    const open = async (start: number, end: number) => handle.createReadStream({ start, end, autoClose: false })
    const stream = Readable.from(decompressRange(frames, whole, open), { objectMode: false })
    // Not in the generator: one that was never begun has no end.
    return stream.once('close', () => void handle.close().catch(() => undefined))
  } catch (error) {
    await handle.close()
    throw diskError(error)
  }
}

interface Options {
  root: string
  openFile: OpenFile
  /** Whether somebody works with its file by path. */
  isLent(key: string): boolean
}

/** The caller sees to it that nobody else writes the key meanwhile. */
export const diskCompaction = ({ root, openFile, isLent }: Options): Compaction => {
  const aside = async <Answer>(work: (temporary: string) => Promise<Answer>): Promise<Answer> => {
    const temporary = join(root, 'temp', randomUUID())
    try {
      return await work(temporary)
    } catch (error) {
      throw diskError(error)
    } finally {
      await rm(temporary, { force: true })
    }
  }
  const writeTo = async (temporary: string, body: AsyncIterable<Uint8Array>) => {
    const file = await openFile(temporary, 'wx')
    return writeBody(file, body).finally(() => file.close())
  }

  return {
    compact: async (key, { sha256 } = {}) => {
      const object = await openObject(root, key)
      if (object.form === 'compressed') return closed(object, await infoOf(object))
      if (isLent(key)) return closed(object, plainInfo(object.stored_bytes))
      return aside(async (temporary) => {
        const body = object.handle.createReadStream()
        const original = measured(body)
        const { size_bytes: stored_bytes } = await writeTo(temporary, compressFrames(original.bytes)).finally(() => drop(body))
        const { size_bytes, sha256: found } = original.info()
        if (sha256 !== undefined && found !== sha256) throw differs(key, found, sha256)
        if (stored_bytes > size_bytes * (1 - least_saving)) return plainInfo(size_bytes)
        await verify(temporary, stored_bytes, found)
        const path = objectPath(root, key)
        await place(root, temporary, `${path}${compressed_end}`)
        await discardFile(root, path)
        return { size_bytes, stored_bytes, form: 'compressed' }
      })
    },
    expand: async (key) => {
      const object = await openObject(root, key)
      const path = objectPath(root, key)
      if (object.form === 'plain') {
        await discardFile(root, `${path}${compressed_end}`)
        return closed(object, plainInfo(object.stored_bytes))
      }
      return aside(async (temporary) => {
        const body = await readOpen(object)
        const { size_bytes } = await writeTo(temporary, body).finally(() => drop(body))
        await publish(root, temporary, key)
        return plainInfo(size_bytes)
      })
    },
  }
}

const plainInfo = (size_bytes: number): CompactInfo => ({ size_bytes, stored_bytes: size_bytes, form: 'plain' })

const infoOf = async (object: OpenObject): Promise<CompactInfo> => ({
  size_bytes: originalSize(await framesOf(object)),
  stored_bytes: object.stored_bytes,
  form: 'compressed',
})

const closed = async (object: OpenObject, info: CompactInfo): Promise<CompactInfo> => {
  await object.handle.close()
  return info
}

/** What was written is read back and must be what went in. */
const verify = async (path: string, stored_bytes: number, sha256: string): Promise<void> => {
  const slice = (start: number, end: number) => createReadStream(path, { start, end })
  const bytesAt = async (position: number, length: number) =>
    Buffer.concat(await slice(position, position + length - 1).toArray())
  const frames = await readFrames(stored_bytes, bytesAt)
  const back = measured(decompressRange(frames, { start: 0, end: originalSize(frames) - 1 }, async (from, to) => slice(from, to)))
  for await (const _ of back.bytes);
  if (back.info().sha256 !== sha256)
    throw new PlatformError('internal', 'What was compressed did not come back as it went in; the original stays')
}

/** The size of the original, whatever form it is stored in; undefined when there is none. */
export const sizeOf = async (root: string, key: string): Promise<number | undefined> => {
  const path = objectPath(root, key)
  const plain = await fileSize(path)
  if (plain !== undefined || (await fileSize(`${path}${compressed_end}`)) === undefined) return plain
  const object = await openObject(root, key)
  if (object.form === 'plain') return (await closed(object, plainInfo(object.stored_bytes))).size_bytes
  return (await closed(object, await infoOf(object))).size_bytes
}
