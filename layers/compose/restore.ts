import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import * as z from 'zod'
import { type TarEntry, tarEntries } from '../archive/tar.ts'
import { PlatformError } from '../core/contract/errors.ts'
import { Manifest, manifest_name, records_name } from './backup.ts'

export interface RestoreSummary {
  home: string
  files: number
  created_at: string
}

/**
 * Brings a backup back into an empty folder. Reads the whole archive against its manifest before anything is written, unpacks aside,
 * reads again what it wrote, checks the database, and only then puts everything in its place, the records last.
 * Fails with `conflict` when the folder is not empty, `invalid_request` when the archive is damaged; the folder stays empty then.
 */
export const restoreHome = async ({ home, file }: { home: string; file: string }): Promise<RestoreSummary> => {
  const present = await readdir(home).catch(() => [])
  if (present.length > 0)
    throw new PlatformError(
      'conflict',
      `${home} is not empty (${present.slice(0, 3).join(', ')} …); restore into an empty AIDEPLOY_HOME`,
    )
  const archive = await open(file, 'r').catch((cause) => {
    throw new PlatformError('not_found', `The backup ${file} cannot be opened`, { cause })
  })
  const aside = join(home, '.restoring')
  try {
    const { manifest, entries } = await verified(archive)
    await mkdir(aside, { recursive: true, mode: 0o700 })
    for (const [at, entry] of entries.entries()) await unpack(archive, entry, manifest.files[at]?.sha256 ?? '', aside)
    checkRecords(join(aside, records_name))
    const names = await readdir(aside)
    for (const name of names.toSorted((a, b) => Number(a === records_name) - Number(b === records_name)))
      await rename(join(aside, name), join(home, name))
    return { home, files: entries.length, created_at: manifest.created_at }
  } finally {
    await rm(aside, { recursive: true, force: true })
    await archive.close()
  }
}

const damaged = (detail: string, cause?: unknown) =>
  new PlatformError('invalid_request', `Not a whole backup: ${detail}`, { cause })

/** Reads everything once: the manifest comes last and must name exactly what came before it. */
const verified = async (archive: FileHandle): Promise<{ manifest: Manifest; entries: TarEntry[] }> => {
  const entries: TarEntry[] = []
  for await (const entry of tarEntries(archive)) entries.push(entry)
  const last = entries.pop()
  if (last?.path !== manifest_name) throw damaged(`it does not end with ${manifest_name}`)
  const manifest = await readManifest(archive, last)
  if (manifest.files.length !== entries.length)
    throw damaged(`it has ${entries.length} files, its manifest names ${manifest.files.length}`)
  for (const [at, entry] of entries.entries()) {
    const named = manifest.files[at]
    checkPath(entry.path)
    if (named?.path !== entry.path || named.size_bytes !== entry.size_bytes)
      throw damaged(`${entry.path} is not what its manifest names`)
    if ((await digestOf(archive, entry)) !== named.sha256) throw damaged(`${entry.path} has other bytes than its manifest says`)
  }
  if (entries[0]?.path !== records_name) throw damaged(`it does not begin with ${records_name}`)
  return { manifest, entries }
}

const readManifest = async (archive: FileHandle, entry: TarEntry): Promise<Manifest> => {
  const chunks: Buffer[] = []
  for await (const chunk of contentOf(archive, entry)) chunks.push(chunk)
  try {
    return Manifest.parse(JSON.parse(Buffer.concat(chunks).toString()))
  } catch (cause) {
    throw damaged('its manifest cannot be read', cause)
  }
}

/** Below the folder, and nowhere else. */
const checkPath = (path: string): void => {
  const segments = path.split('/')
  if (
    segments.some(
      (segment) => segment === '' || segment === '.' || segment === '..' || segment.includes('\\') || segment.includes('\0'),
    )
  )
    throw damaged(`${JSON.stringify(path)} is no path below the folder`)
}

async function* contentOf(archive: FileHandle, { start, size_bytes }: TarEntry): AsyncGenerator<Buffer> {
  const buffer = Buffer.alloc(1024 * 1024)
  for (let at = 0; at < size_bytes; ) {
    const { bytesRead } = await archive.read(buffer, 0, Math.min(buffer.length, size_bytes - at), start + at)
    if (bytesRead === 0) throw damaged(`it ends at byte ${start + at}`)
    yield Buffer.from(buffer.subarray(0, bytesRead))
    at += bytesRead
  }
}

const digestOf = async (archive: FileHandle, entry: TarEntry): Promise<string> => {
  const hash = createHash('sha256')
  for await (const chunk of contentOf(archive, entry)) hash.update(chunk)
  return hash.digest('hex')
}

const unpack = async (archive: FileHandle, entry: TarEntry, sha256: string, folder: string): Promise<void> => {
  const path = join(folder, entry.path)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const file = await open(path, 'wx', 0o600)
  const hash = createHash('sha256')
  try {
    for await (const chunk of contentOf(archive, entry)) {
      hash.update(chunk)
      await file.writeFile(chunk)
    }
    await file.sync()
  } finally {
    await file.close()
  }
  if (hash.digest('hex') !== sha256) throw damaged(`${entry.path} changed while it was read`)
}

const Integrity = z.object({ integrity_check: z.string() })

const checkRecords = (path: string): void => {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    const found = Integrity.parse(db.prepare('pragma integrity_check(1)').get()).integrity_check
    if (found !== 'ok') throw damaged(`the records in it are not whole: ${found}`)
  } catch (cause) {
    throw damaged('the records in it are no database', cause)
  } finally {
    db.close()
  }
}
