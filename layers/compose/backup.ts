import { createHash } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { constants, type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import * as z from 'zod'
import { padding, tar_end, tarHeader } from '../archive/tar.ts'
import { holdArtifacts } from '../artifacts/disk-hold.ts'
import { PlatformError } from '../core/contract/errors.ts'

/** The last entry of a backup: what must be in front of it. */
export const Manifest = z.object({
  format: z.literal(1),
  created_at: z.iso.datetime(),
  /** Of the platform that wrote it. */
  version: z.string(),
  files: z.array(z.object({ path: z.string(), size_bytes: z.number().int().nonnegative(), sha256: z.hex().length(64) })),
})
export type Manifest = z.infer<typeof Manifest>
export const manifest_name = 'manifest.json'
export const records_name = 'records.sqlite'

/** Copied in their own way, or made again from what is copied. */
const left_out = new Set(['artifacts', 'deployments', 'scratch'])

/** Samples of requests are forgotten when their deployment says so, and a copy elsewhere would not be: they are made again. */
const isForgettable = (path: string): boolean => path.startsWith(`samples+${sep}`)

export interface BackupSummary {
  file: string
  files: number
  size_bytes: number
}

/**
 * Writes everything a platform must not lose into one tar file, while the platform runs: first a hold on the artifacts, then a snapshot
 * of the records (one read transaction), then the artifacts, which never change under their key, then secrets, keys and mail.
 * Uploads in progress are not part of it. The file holds the secrets' key: readable by its owner only, and worth a safe place.
 */
export const backupHome = async ({
  home,
  file,
  now,
  version,
}: {
  home: string
  file: string
  now(): Date
  version: string
}): Promise<BackupSummary> => {
  const target = resolve(file)
  await checkPlaces(resolve(home), target)
  const snapshot = `${target}.records`
  const partial = `${target}.partial`
  const release = await holdArtifacts(join(home, 'artifacts'))
  try {
    await rm(snapshot, { force: true })
    snapshotRecords(join(home, records_name), snapshot)
    const sources = [{ path: records_name, from: snapshot }, ...(await artifactFiles(home)), ...(await otherFiles(home))]
    const written = await writeArchive(partial, sources, now(), version)
    await rename(partial, target)
    return { file: target, ...written }
  } finally {
    await release()
    await rm(snapshot, { force: true })
    await rm(partial, { force: true })
  }
}

const checkPlaces = async (home: string, target: string): Promise<void> => {
  if (!(await exists(join(home, records_name))))
    throw new PlatformError('not_found', `There is no platform in ${home}: it has no ${records_name}`)
  if (target.startsWith(home + sep))
    throw new PlatformError('invalid_request', `A backup lies outside of what it backs up; ${target} is inside ${home}`)
  if (await exists(target))
    throw new PlatformError('conflict', `${target} exists; name a new file, so that no older backup is lost`)
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** One read transaction of its own beside the running host: the copy is the state at one moment, the write-ahead log included. */
const snapshotRecords = (path: string, copy: string): void => {
  // Made first, and empty as `vacuum into` wants it: the copy holds what signs people in and is its owner's alone.
  closeSync(openSync(copy, 'wx', 0o600))
  const db = new DatabaseSync(path, { timeout: 10_000 })
  try {
    db.prepare('vacuum into ?').run(copy)
  } finally {
    db.close()
  }
}

interface Source {
  path: string
  from: string
  /** Where it lies when it was removed meanwhile. */
  aside?: () => Promise<string | undefined>
}

/** What is stored, and what was removed since the hold. */
const artifactFiles = async (home: string): Promise<Source[]> => {
  const objects = join(home, 'artifacts', 'objects')
  const placed = (path: string) => join('artifacts', 'objects', path)
  const sources = new Map<string, Source>()
  for (const from of await filesBelow(objects)) {
    const path = relative(objects, from)
    sources.set(path, { path: placed(path), from, aside: async () => (await trashed(home)).get(path) })
  }
  for (const [path, from] of await trashed(home)) if (!sources.has(path)) sources.set(path, { path: placed(path), from })
  return [...sources].flatMap(([path, source]) => (isForgettable(path) ? [] : [source]))
}

const trashed = async (home: string): Promise<Map<string, string>> => {
  const trash = join(home, 'artifacts', 'trash')
  const files = await filesBelow(trash)
  return new Map(files.map((from) => [relative(trash, from).split(sep).slice(1).join(sep), from]))
}

const otherFiles = async (home: string): Promise<Source[]> => {
  const entries = await readdir(home, { withFileTypes: true })
  const wanted = entries.filter(({ name }) => !left_out.has(name) && !name.startsWith(records_name))
  const found = await Promise.all(
    wanted.map((entry) =>
      entry.isDirectory() ? filesBelow(join(home, entry.name)) : entry.isFile() ? [join(home, entry.name)] : [],
    ),
  )
  return found.flat().map((from) => ({ path: relative(home, from), from }))
}

const filesBelow = async (folder: string): Promise<string[]> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : [])).sort()
}

const writeArchive = async (path: string, sources: Source[], at: Date, version: string): Promise<Omit<BackupSummary, 'file'>> => {
  await rm(path, { force: true })
  const archive = await open(path, 'wx', 0o600)
  const modified_s = Math.floor(at.getTime() / 1000)
  try {
    const files: Manifest['files'] = []
    for (const source of sources) {
      const handle = await openSource(source)
      if (handle) files.push(await append(archive, handle, source, modified_s))
    }
    const manifest: Manifest = { format: 1, created_at: at.toISOString(), version, files }
    const text = Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`)
    await archive.writeFile(
      Buffer.concat([tarHeader(manifest_name, text.byteLength, modified_s), text, padding(text.byteLength), tar_end]),
    )
    await archive.sync()
    return { files: files.length, size_bytes: (await archive.stat()).size }
  } finally {
    await archive.close()
  }
}

/** Appends one file as long as it is now; fails when it turns out shorter. */
const append = async (
  archive: FileHandle,
  handle: FileHandle,
  source: Source,
  modified_s: number,
): Promise<Manifest['files'][number]> => {
  try {
    const { size: size_bytes } = await handle.stat()
    const path = source.path.split(sep).join('/')
    await archive.writeFile(tarHeader(path, size_bytes, modified_s))
    const hash = createHash('sha256')
    let copied_bytes = 0
    if (size_bytes > 0)
      for await (const chunk of handle.createReadStream({
        start: 0,
        end: size_bytes - 1,
        highWaterMark: 1024 * 1024,
        autoClose: false,
      })) {
        hash.update(chunk)
        copied_bytes += chunk.length
        await archive.writeFile(chunk)
      }
    if (copied_bytes !== size_bytes)
      throw new PlatformError('conflict', `${source.from} became shorter while it was copied; start the backup again`)
    await archive.writeFile(padding(size_bytes))
    return { path, size_bytes, sha256: hash.digest('hex') }
  } finally {
    await handle.close()
  }
}

/** Undefined for an artifact whose removal began before the hold: no record of the snapshot names it any more. */
const openSource = async ({ from, aside }: Source): Promise<FileHandle | undefined> => {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW
  try {
    return await open(from, flags)
  } catch (error) {
    if (!aside) throw error
    const moved = await aside()
    return moved === undefined ? undefined : open(moved, flags)
  }
}
