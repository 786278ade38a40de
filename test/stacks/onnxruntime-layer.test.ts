import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildLayer, type LambdaArchitecture } from '../../layers/onnxruntime/build-layer.ts'
import { denseModel, writeModel } from '../support/models.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aideploy-layer-'))
  for (const architecture of ['arm64', 'x64'] as const) await buildLayer(join(folder, architecture), architecture)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const files = (architecture: LambdaArchitecture): string[] =>
  readdirSync(join(folder, architecture), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

/** e_machine of the ELF header. */
const machine = (path: string): number => readFileSync(path).readUInt16LE(18)

describe('the onnxruntime layer', () => {
  it.each([
    ['arm64', 30e6, 183],
    ['x64', 60e6, 62],
  ] as const)('holds the %s binaries only, within its size', (architecture, most_bytes, elf_machine) => {
    const all = files(architecture)
    expect(all.reduce((total, path) => total + statSync(path).size, 0)).toBeLessThan(most_bytes)
    const native = all.filter((path) => /\.(node|so(\.\d+)*)$/.test(path))
    expect(native).toHaveLength(2)
    for (const path of native) expect(machine(path)).toBe(elf_machine)
  })

  it('runs a model with nothing else on the path', async () => {
    const architecture = process.arch === 'arm64' ? 'arm64' : 'x64'
    const elsewhere = join(folder, 'task')
    await mkdir(elsewhere)
    const model = writeModel(join(folder, 'model.onnx'), denseModel([4, 8, 3]))
    const script = `
      const ort = require('onnxruntime-node')
      ort.InferenceSession.create(${JSON.stringify(model)}).then(async (session) => {
        const { [session.outputNames[0]]: output } = await session.run({ [session.inputNames[0]]: new ort.Tensor('float32', [1, 2, 3, 4], [1, 4]) })
        console.log(JSON.stringify({ from: require.resolve('onnxruntime-node'), dims: output.dims, finite: output.data.every(Number.isFinite) }))
      })`
    const env = { PATH: '/usr/bin:/bin', NODE_PATH: join(folder, architecture, 'nodejs', 'node_modules') }
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { cwd: elsewhere, env })
    expect(JSON.parse(stdout)).toEqual({ from: expect.stringContaining(join(folder, architecture)), dims: [1, 3], finite: true })
  })
})
