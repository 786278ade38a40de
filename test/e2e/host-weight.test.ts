import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { startPlatform } from '../support/platform.ts'

it.runIf(process.platform === 'linux')(
  'the host never loads the model runtime: models run in processes of their own',
  async () => {
    const platform = await startPlatform()
    try {
      expect(readFileSync(`/proc/${platform.process.pid}/maps`, 'latin1')).not.toContain('onnxruntime')
    } finally {
      await platform.stop()
      await platform.remove()
    }
  },
)
