import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { constants, type FileHandle, lstat, mkdir, open, readdir, realpath, rename } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { isPlatformError, PlatformError } from '../core/contract/errors.ts'
import { checkedArtifactKey, checkedPrefix } from './keys.ts'

/** `objects` what is stored, `temp` what is on its way, `uploads` uploads in parts, `trash` what a running backup may still read. */
export const folders = ['objects', 'temp', 'uploads', 'trash'] as const

/** Makes the folders and removes what a crash left on its way. */
export const prepareRoot = (root: string): void => {
  for (const folder of folders) mkdirSync(join(root, folder), { recursive: true, mode: 0o700 })
  for (const name of readdirSync(join(root, 'temp'))) rmSync(join(root, 'temp', name), { recursive: true, force: true })
}

/** Folders end in `+`, which no segment can, so that `a` and `a/b` may both be artifacts. */
export const objectPath = (root: string, key: string): string => {
  const segments = checkedArtifactKey(key).split('/')
  const name = segments.pop() ?? ''
  return join(root, 'objects', ...segments.map((segment) => `${segment}+`), name)
}

/** Where the compressed form of an artifact lies: a name that no key can have. When both lie there the plain one counts. */
export const compressed_end = '~zst'

/** Every key under a prefix, in byte order. */
export const keysUnder = async (root: string, prefix: string): Promise<string[]> => {
  const whole = checkedPrefix(prefix).split('/').slice(0, -1)
  const keys = new Set<string>()
  const walk = async (segments: string[]): Promise<void> => {
    const entries = await readdir(join(root, 'objects', ...segments.map((segment) => `${segment}+`)), {
      withFileTypes: true,
    }).catch(absentAs([]))
    for (const entry of entries) {
      if (entry.isDirectory()) await walk([...segments, entry.name.slice(0, -1)])
      else if (entry.isFile()) keys.add([...segments, plainName(entry.name)].join('/'))
    }
  }
  await walk(whole)
  return [...keys].filter((key) => key.startsWith(prefix)).sort()
}

const plainName = (name: string): string => (name.endsWith(compressed_end) ? name.slice(0, -compressed_end.length) : name)

export interface OpenObject {
  handle: FileHandle
  path: string
  /** As it lies there. */
  stored_bytes: number
  form: 'plain' | 'compressed'
}

/**
 * Opens a stored file for reading, in whichever form it lies there. Links are never followed: neither the file nor a folder above it may
 * be one. A form may be replaced by the other between two looks, so there are a few.
 */
export const openObject = async (root: string, key: string): Promise<OpenObject> => {
  const path = objectPath(root, key)
  for (let look = 0; look < 3; look += 1) {
    const found = (await openForm(root, path, 'plain')) ?? (await openForm(root, `${path}${compressed_end}`, 'compressed'))
    if (found) return found
  }
  throw new PlatformError('not_found', `Artifact ${key} was not found`)
}

const openForm = async (root: string, path: string, form: OpenObject['form']): Promise<OpenObject | undefined> => {
  try {
    await insideRoot(root, dirname(path))
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    const found = await handle.stat()
    if (found.isFile()) return { handle, path, stored_bytes: found.size, form }
    await handle.close()
  } catch (cause) {
    if (isPlatformError(cause, 'not_found')) return undefined
    if (!hasCode(cause, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw diskError(cause)
  }
  return undefined
}

/** Size of a file that is no link; undefined when there is none. */
export const fileSize = async (path: string): Promise<number | undefined> => {
  const found = await lstat(path).catch(absentAs(undefined))
  return found?.isFile() ? found.size : undefined
}

const insideRoot = async (root: string, folder: string): Promise<void> => {
  const top = await realpath(join(root, 'objects'))
  const real = await realpath(folder)
  const wanted = join(top, folder.slice(join(root, 'objects').length))
  if (real !== wanted || !(real === top || real.startsWith(top + sep)))
    throw new PlatformError('not_found', `Artifact folder ${folder} is a link`)
}

/** Gives a finished temporary file its path below `objects`, durably: the file, then its name. */
export const place = async (root: string, temporary: string, path: string): Promise<void> => {
  const made = await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await insideRoot(root, dirname(path))
  await rename(temporary, path)
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    await syncFolder(folder)
    if (made === undefined || folder === dirname(made)) break
  }
}

const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, constants.O_RDONLY)
  await handle.sync().finally(() => handle.close())
}

export const hasCode = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code)

export const absentAs =
  <Answer>(answer: Answer) =>
  (error: unknown): Answer => {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return answer
    throw diskError(error)
  }

export const diskError = (cause: unknown): unknown => {
  if (cause instanceof PlatformError) return cause
  if (hasCode(cause, 'ENOSPC', 'EDQUOT', 'EFBIG'))
    return new PlatformError('storage_full', 'The artifacts have no room left on this disk', { cause })
  if (hasCode(cause, 'EIO', 'EROFS', 'EACCES', 'EPERM', 'EMFILE', 'ENFILE'))
    return new PlatformError('unavailable', 'The artifacts could not be read or written', { cause, retry_after_s: 1 })
  return cause
}
