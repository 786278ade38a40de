import { DatabaseSync } from 'node:sqlite'
import { PlatformError } from '../core/contract/errors.ts'

/**
 * Keeps a second host off the same file for as long as this process lives: an exclusive lock on `<path>.lock`, which the
 * operating system drops with the process, so that `kill -9` leaves nothing to clean up. Readers (backup) are not kept off.
 * Fails with `conflict`; answers how to let go. A database in memory has nobody to share with.
 */
export const holdFolder = (path: string): (() => void) => {
  // A database in memory belongs to nobody else, and its name is no file.
  if (path === ':memory:') return () => {}
  const lock = new DatabaseSync(`${path}.lock`)
  try {
    lock.exec('pragma journal_mode = memory; pragma locking_mode = exclusive; begin exclusive')
  } catch (cause) {
    lock.close()
    throw new PlatformError('conflict', `Another host is using ${path}; stop it, or set AIDEPLOY_HOME to another folder`, {
      cause,
    })
  }
  return () => lock.close()
}
