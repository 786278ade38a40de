import { randomUUID } from 'node:crypto'
import { lstat, mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { absentAs, compressed_end, objectPath, place } from './disk-files.ts'

/**
 * How a backup of a live platform stays whole: while it holds the artifacts, `remove` moves aside into `trash/<id>/` instead.
 * Records let go of an artifact before it is removed, and name one only after it is stored; so whatever a snapshot of the records
 * taken under the hold names is still there, in its place or in the trash.
 */
const hold_form = /^hold-/
const touch_every_ms = 30_000
/** A hold nobody touched for so long was left by a backup that was killed. */
const hold_lasts_ms = 600_000

/** Holds until the answer is called. */
export const holdArtifacts = async (root: string): Promise<() => Promise<void>> => {
  const hold = join(root, `hold-${randomUUID()}`)
  await writeFile(hold, '', { flag: 'wx', mode: 0o600 })
  const timer = setInterval(() => utimes(hold, new Date(), new Date()).catch(() => undefined), touch_every_ms).unref()
  return async () => {
    clearInterval(timer)
    await rm(hold, { force: true })
    await emptyTrash(root)
  }
}

/** Makes a finished temporary file the artifact. An older compressed form of it goes. */
export const publish = async (root: string, temporary: string, key: string): Promise<void> => {
  const path = objectPath(root, key)
  await place(root, temporary, path)
  await discardFile(root, `${path}${compressed_end}`)
}

const isHeld = async (root: string): Promise<boolean> => {
  for (const name of await readdir(root)) {
    if (!hold_form.test(name)) continue
    const found = await stat(join(root, name)).catch(absentAs(undefined))
    if (found && Date.now() - found.mtimeMs < hold_lasts_ms) return true
  }
  return false
}

/** Removes for good, or, under a hold, out of sight; the compressed form first, so that none comes to light. Removing what is absent is fine. */
export const discard = async (root: string, key: string): Promise<void> => {
  const path = objectPath(root, key)
  await discardFile(root, `${path}${compressed_end}`)
  await discardFile(root, path)
}

/** The same for one file below `objects`. */
export const discardFile = async (root: string, path: string): Promise<void> => {
  if (!(await isHeld(root))) return rm(path).catch(absentAs(undefined))
  if ((await lstat(path).catch(absentAs(undefined))) === undefined) return
  const aside = join(root, 'trash', randomUUID(), relative(join(root, 'objects'), path))
  await mkdir(dirname(aside), { recursive: true, mode: 0o700 })
  await rename(path, aside).catch(absentAs(undefined))
}

export const emptyTrash = async (root: string): Promise<void> => {
  if (await isHeld(root)) return
  for (const name of await readdir(join(root, 'trash'))) await rm(join(root, 'trash', name), { recursive: true, force: true })
}
