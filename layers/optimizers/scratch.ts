import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'

/** Names made by this process: in a container its predecessor had the same number. */
const mine = new Set<string>()

/** An empty folder below `scratch_dir`; those of processes that were killed in the middle of a candidate go. */
export async function scratchFolder(scratch_dir: string): Promise<string> {
  await mkdir(scratch_dir, { recursive: true })
  for (const name of await readdir(scratch_dir)) {
    const pid = Number(/^workbench-(\d+)-/.exec(name)?.[1])
    if (pid > 0 && (pid === process.pid ? !mine.has(name) : !isAlive(pid)))
      await rm(join(scratch_dir, name), { recursive: true, force: true })
  }
  const folder = await mkdtemp(join(scratch_dir, `workbench-${process.pid}-`))
  mine.add(basename(folder))
  return folder
}

export async function removeScratch(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  mine.delete(basename(folder))
}

/** Whether a process of this number runs; one of another user counts. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}
