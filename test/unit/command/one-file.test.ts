import { existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { withOneFile } from '../../../bin/aideploy/one-file.ts'
import { loadModel } from '../../../layers/onnx/codec/read-model.ts'
import { writeModelFiles } from '../../../layers/onnx/codec/write-apart.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { denseModel, writeModel } from '../../support/models.ts'

const folder = mkdtempSync(join(tmpdir(), 'one-file-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const whole = writeModel(join(folder, 'whole.onnx'), denseModel([64, 256, 8]))
const scattered = (name: string): string => {
  mkdirSync(join(folder, name))
  const path = join(folder, name, 'model.onnx')
  expect(writeModelFiles(loadModel(whole), path, { from_bytes: 1024 }).length).toBeGreaterThan(1)
  return path
}

describe('models with weights in files beside them', () => {
  it('are joined into a file that is the same model and goes afterwards', async () => {
    const path = scattered('apart')
    let copy = ''
    const bytes = await withOneFile([whole, path], async ([first, second = '']) => {
      expect(first).toBe(whole)
      copy = second
      return readFileSync(second)
    })
    expect(copy).not.toBe(path)
    expect(existsSync(copy)).toBe(false)
    const [joined, original] = [loadModel(whole), loadModel(path)]
    expect(original.graph?.initializer.length).toBe(joined.graph?.initializer.length)
    expect(Buffer.compare(bytes, Buffer.from(encodeModel(joined)))).toBe(0)
  })

  it('are refused where a file leads out of the folder', async () => {
    const path = scattered('linked')

    linkSync(join(folder, 'linked', 'model.onnx.data'), join(folder, 'second-name'))
    await expect(withOneFile([path], async () => 0)).rejects.toThrow(/has 2 names/)
  })

  it('are refused where a file is absent, naming the tensor', async () => {
    const path = scattered('alone')

    rmSync(join(folder, 'alone', 'model.onnx.data'))
    await expect(withOneFile([path], async () => 0)).rejects.toThrow(/model\.onnx\.data/)
  })
})
