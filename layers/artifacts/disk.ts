import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Artifacts, Compaction, PartReceiver } from '../core/ports/artifacts.ts'
import { keyTurns } from './compacting.ts'
import { diskCompaction, readOpen, sizeOf } from './disk-compact.ts'
import { diskError, keysUnder, objectPath, openObject, prepareRoot } from './disk-files.ts'
import { discard, emptyTrash, publish } from './disk-hold.ts'
import { diskUploads } from './disk-uploads.ts'
import { type OpenFile, openPrivately, writeBody } from './disk-write.ts'

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
  Compaction &
  PartReceiver & {
    /** Removes uploads past their time and what backups kept; answers how many uploads. Every `beginUpload` does it too. */
    sweepUploads(): Promise<number>
  }

/** Artifacts as files below `root`. Everything is written aside, made durable, and appears by a rename. */
export const diskArtifacts = (options: DiskOptions): DiskArtifacts => {
  const { root } = options
  prepareRoot(root)
  const openFile = options.openFile ?? openPrivately

  const inTurn = keyTurns()
  const lent = new Map<string, number>()
  const compaction = diskCompaction({ root, openFile, isLent: (key) => lent.has(key) })

  return {
    put: async (key, body, expected) => {
      objectPath(root, key)
      const temporary = join(root, 'temp', randomUUID())
      try {
        const file = await openFile(temporary, 'wx')
        const info = await writeBody(file, body, expected).finally(() => file.close())
        await inTurn(key, () => publish(root, temporary, key))
        return info
      } catch (error) {
        await rm(temporary, { force: true })
        throw diskError(error)
      }
    },
    read: async (key, range) => readOpen(await openObject(root, key), range),
    stat: async (key) => {
      const size_bytes = await sizeOf(root, key)
      return size_bytes === undefined ? undefined : { size_bytes }
    },
    remove: async (key) => {
      await inTurn(key, () => discard(root, key))
      await emptyTrash(root)
    },
    list: async (prefix) => keysUnder(root, prefix),
    compact: async (key, wanted) => {
      const info = await inTurn(key, () => compaction.compact(key, wanted))
      await emptyTrash(root)
      return info
    },
    expand: (key) => inTurn(key, () => compaction.expand(key)),
    asFile: (key) => inTurn(key, () => lend(root, key, lent)),
    ...diskUploads({ ...options, openFile }),
  }
}

/** A plain artifact's own file, which is then not compressed away; of a compressed one a copy. */
const lend = async (root: string, key: string, lent: Map<string, number>): ReturnType<Artifacts['asFile']> => {
  const object = await openObject(root, key)
  if (object.form === 'compressed') {
    const path = join(root, 'temp', randomUUID())
    const release = () => rm(path, { force: true })
    try {
      await pipeline(await readOpen(object), createWriteStream(path, { flags: 'wx', mode: 0o600 }))
      return { path, release }
    } catch (error) {
      await release()
      throw diskError(error)
    }
  }
  await object.handle.close()
  lent.set(key, (lent.get(key) ?? 0) + 1)
  let is_out = true
  const release = async (): Promise<void> => {
    if (!is_out) return
    is_out = false
    const left = (lent.get(key) ?? 1) - 1
    if (left > 0) lent.set(key, left)
    else lent.delete(key)
  }
  return { path: object.path, release }
}
