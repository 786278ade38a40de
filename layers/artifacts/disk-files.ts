import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { constants, type FileHandle, lstat, mkdir, open, readdir, realpath, rename } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { PlatformError } from '../core/contract/errors.ts'
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

/** Every key under a prefix, in byte order. */
export const keysUnder = async (root: string, prefix: string): Promise<string[]> => {
  const whole = checkedPrefix(prefix).split('/').slice(0, -1)
  const keys: string[] = []
  const walk = async (segments: string[]): Promise<void> => {
    const entries = await readdir(join(root, 'objects', ...segments.map((segment) => `${segment}+`)), {
      withFileTypes: true,
    }).catch(absentAs([]))
    for (const entry of entries) {
      if (entry.isDirectory()) await walk([...segments, entry.name.slice(0, -1)])
      else if (entry.isFile()) keys.push([...segments, entry.name].join('/'))
    }
  }
  await walk(whole)
  return keys.filter((key) => key.startsWith(prefix)).sort()
}

/** Opens a stored file for reading. Links are never followed: neither the file nor a folder above it may be one. */
export const openObject = async (
  root: string,
  key: string,
): Promise<{ handle: FileHandle; path: string; size_bytes: number }> => {
  const path = objectPath(root, key)
  try {
    await insideRoot(root, dirname(path))
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    const found = await handle.stat()
    if (found.isFile()) return { handle, path, size_bytes: found.size }
    await handle.close()
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw diskError(cause)
  }
  throw new PlatformError('not_found', `Artifact ${key} was not found`)
}

export const sizeOf = async (root: string, key: string): Promise<number | undefined> => {
  const found = await lstat(objectPath(root, key)).catch(absentAs(undefined))
  return found?.isFile() ? found.size : undefined
}

const insideRoot = async (root: string, folder: string): Promise<void> => {
  const top = await realpath(join(root, 'objects'))
  const real = await realpath(folder)
  const wanted = join(top, folder.slice(join(root, 'objects').length))
  if (real !== wanted || !(real === top || real.startsWith(top + sep)))
    throw new PlatformError('not_found', `Artifact folder ${folder} is a link`)
}

/** Makes a finished temporary file the artifact, durably: the file, then its name. */
export const publish = async (root: string, temporary: string, key: string): Promise<void> => {
  const path = objectPath(root, key)
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
