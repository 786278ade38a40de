import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Artifacts, PartReceiver } from '../core/ports/artifacts.ts'
import { diskError, keysUnder, objectPath, openObject, prepareRoot, publish, sizeOf } from './disk-files.ts'
import { discard, emptyTrash } from './disk-hold.ts'
import { diskUploads } from './disk-uploads.ts'
import { type OpenFile, openPrivately, writeBody } from './disk-write.ts'
import { badRange } from './streaming.ts'

export interface DiskOptions {
  root: string
  now(): Date
  /** Secret that signs part URLs. */
  sign_key: string | Uint8Array
  /** Where callers reach this host, without a trailing slash; a function where the port is known only later. */
  public_url: string | (() => string)
  /** Opens files for writing; replaced to try a full disk. */
  openFile?: OpenFile
}

export type DiskArtifacts = Artifacts &
  PartReceiver & {
    /** Removes uploads past their time and what backups kept; answers how many uploads. Every `beginUpload` does it too. */
    sweepUploads(): Promise<number>
  }

/** Artifacts as files below `root`. Everything is written aside, made durable, and appears by a rename. */
export const diskArtifacts = (options: DiskOptions): DiskArtifacts => {
  const { root } = options
  prepareRoot(root)
  const openFile = options.openFile ?? openPrivately

  return {
    put: async (key, body, expected) => {
      objectPath(root, key)
      const temporary = join(root, 'temp', randomUUID())
      try {
        const file = await openFile(temporary, 'wx')
        const info = await writeBody(file, body, expected).finally(() => file.close())
        await publish(root, temporary, key)
        return info
      } catch (error) {
        await rm(temporary, { force: true })
        throw diskError(error)
      }
    },
    read: async (key, range) => {
      const { handle, size_bytes } = await openObject(root, key)
      if (!range) return handle.createReadStream()
      if (range.start < 0 || range.start >= size_bytes || range.end < range.start) {
        await handle.close()
        throw badRange(range, size_bytes)
      }
      return handle.createReadStream({ start: range.start, end: Math.min(range.end, size_bytes - 1) })
    },
    stat: async (key) => {
      const size_bytes = await sizeOf(root, key)
      return size_bytes === undefined ? undefined : { size_bytes }
    },
    remove: async (key) => {
      await discard(root, key)
      await emptyTrash(root)
    },
    list: async (prefix) => keysUnder(root, prefix),
    asFile: async (key) => {
      const { handle, path } = await openObject(root, key)
      await handle.close()
      return { path, release: async () => {} }
    },
    ...diskUploads({ ...options, openFile }),
  }
}
