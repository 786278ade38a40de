import { copyFile, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { PlatformError } from '../core/contract/errors.ts'
import type { Artifacts } from '../core/ports/artifacts.ts'
import { storeFile } from './store-file.ts'

/** Artifacts that are plain files: `given` where they lie, what is made in `folder`. */
export const folderArtifacts = (
  folder: string,
  given: Readonly<Record<string, string | null>>,
): Pick<Artifacts, 'asFile' | 'put'> => {
  const pathOf = (key: string): string => given[key] ?? join(folder, basename(key))
  return {
    asFile: async (key) => ({ path: pathOf(key), release: async () => undefined }),
    put: async (key, body) => {
      await mkdir(folder, { recursive: true })
      return await storeFile(pathOf(key), body)
    },
  }
}

const unusable = (what: string, path: string, cause: unknown, wanted: string): PlatformError => {
  const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  return new PlatformError('invalid_request', `${what} ${path} is not usable (${why}); wanted ${wanted}`, { cause })
}

/** Bytes of a file that must be there. */
export async function sizeOfFile(path: string, what: string): Promise<number> {
  const found = await stat(path).catch((error: unknown) => {
    throw unusable(what, path, error, 'a file that can be read')
  })
  if (!found.isFile())
    throw unusable(what, path, found.isDirectory() ? 'it is a directory' : 'it is no file', 'a file that can be read')
  return found.size
}

/** Name that a file has while it is written; it lies beside the final one, so that the renaming is one step. */
const partOf = (path: string): string => join(dirname(path), `.${basename(path)}.${process.pid}.part`)

/**
 * Whether a file can be written here, found out before hours are spent on it: by making an empty one beside it and taking it away.
 * Fails with `invalid_request` for a directory, one of the `inputs`, and a folder that is absent or admits no files.
 */
export async function checkWritable(path: string, inputs: readonly (string | null)[]): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found && !found.isFile())
    throw unusable('Output', path, found.isDirectory() ? 'it is a directory' : 'it is no file', 'the name of a file')
  if (inputs.some((input) => input !== null && resolve(input) === resolve(path)))
    throw unusable('Output', path, 'it is an input', 'another name, so that nothing supplied is overwritten')
  const part = partOf(path)
  try {
    await (await open(part, 'wx')).close()
  } catch (error) {
    throw unusable('Output', path, error, 'a folder that is there and can be written to')
  } finally {
    await rm(part, { force: true }).catch(() => undefined)
  }
}

/** All of `from` or nothing of it stands under `to`; what stood there is there until then. */
export async function copyWhole(from: string, to: string): Promise<void> {
  const part = partOf(to)
  try {
    await copyFile(from, part)
    const file = await open(part, 'r+')
    await file.sync().finally(() => file.close())
    await rename(part, to)
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined)
    throw unusable('Output', to, error, 'a disk with room for it')
  }
}
