import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder that stands for the bundles where a test looks at templates only. */
export const emptyBundles = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'aideploy-bundles-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'index.mjs'), 'export const handler = async () => ({})\n')
  return folder
}
