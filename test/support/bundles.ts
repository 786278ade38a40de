import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder that stands for the bundles where a test looks at templates only. */
export const emptyBundles = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'aideploy-bundles-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const part of ['.', 'runtime', 'layer-arm64', 'layer-x64']) {
    mkdirSync(join(folder, part), { recursive: true })
    writeFileSync(join(folder, part, 'index.mjs'), 'export const handler = async () => ({})\n')
  }
  return folder
}
