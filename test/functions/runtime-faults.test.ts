import { createWriteStream, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { largeModel } from '../support/large-model.ts'
import { counted, type ModelCloud, modelCloud } from '../support/model-cloud.ts'
import { denseModel, loopModel } from '../support/models.ts'
import { post } from '../support/serving.ts'

let cloud: ModelCloud
beforeAll(async () => {
  cloud = await modelCloud({ most: 6 })
})
afterEach(() => cloud.s3.fate(() => 'pass'))
afterAll(() => cloud.stop())

const row = { inputs: [[1, 2, 3, 4]] }
const dense = () => denseModel([4, 8, 3])
const ask = async (url: string, body: object = row) => {
  const { status, text } = await post(url, body)
  const told = JSON.parse(text)
  return { status, code: told.code, reason: told.reason, detail: String(told.error ?? '') }
}
/** Processes of this machine whose command line holds a text. */
const processesWith = (text: string): string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text)
    } catch {
      return false
    }
  })

describe('a model function whose storage misbehaves', () => {
  it('resumes bodies that are cut off, and outlives throttling and broken servers', async () => {
    const { url } = await cloud.deploy(denseModel([512, 1024, 256]))
    cloud.s3.fate((path, number) => {
      if (number % 4 === 0) return { error: 'SlowDown' }
      if (number % 4 === 1) return { error: 'InternalError' }
      return path.endsWith('weights.bin') && number < 12 ? { cut_after_bytes: 300_000 } : 'pass'
    })
    expect((await ask(url, { inputs: [Array.from({ length: 512 }, () => 1)] })).status).toBe(200)
    const starts = cloud.s3.requests.flatMap(({ path, range }) => (path.endsWith('weights.bin') ? [range ?? ''] : []))
    expect(starts).toContainEqual(expect.stringMatching(/^bytes=300000-/))
  })

  it('never serves bytes other than those announced, says so, and serves once they are right', async () => {
    const { url } = await cloud.deploy(dense())
    cloud.s3.fate((path) => (path.endsWith('model.onnx') ? 'corrupt' : 'pass'))
    const refused = await ask(url)
    expect(refused).toMatchObject({ status: 503, code: 'deployment_unavailable', reason: 'sha256_mismatch' })
    expect(refused.detail).toMatch(/model\.onnx has sha256 [0-9a-f]{64}, wanted [0-9a-f]{64}/)
    expect(await (await fetch(`${url}/v2/health/ready`)).json()).toEqual({ ready: false })
    expect((await fetch(`${url}/v2/health/live`)).status).toBe(200)
    cloud.s3.fate(() => 'pass')
    expect((await ask(url)).status).toBe(200)
  })

  it('refuses a manifest that is not the one its environment names', async () => {
    const { url, id } = await cloud.deploy(dense(), { environment: { AIDEPLOY_MANIFEST_SHA256: 'f'.repeat(64) } })
    expect(await ask(url)).toMatchObject({ status: 503, code: 'deployment_unavailable', reason: 'sha256_mismatch' })
    const probe = await cloud.host.invoke(id, { probe: true })
    expect(probe.function_error?.errorMessage).toMatch(/manifest\.json has sha256/)
  })

  it('says when the bucket refuses it or is gone, and tries again with the next call', async () => {
    const { url } = await cloud.deploy(dense())
    cloud.s3.fate(() => ({ error: 'AccessDenied' }))
    expect(await ask(url)).toMatchObject({ status: 503, code: 'deployment_unavailable', reason: 'storage_failed' })
    cloud.s3.fate((path) => (path.endsWith('manifest.json') ? 'pass' : { error: 'NoSuchKey' }))
    expect(await ask(url)).toMatchObject({ status: 503, code: 'deployment_unavailable', reason: 'storage_failed' })
    cloud.s3.fate(() => 'pass')
    expect((await ask(url)).status).toBe(200)
  })
})

describe('a model function whose model misbehaves', () => {
  it('ends a run without end at the limit, and gives the next call a fresh process', async () => {
    const { url, id } = await cloud.deploy(loopModel(false), { environment: { AIDEPLOY_TIMEOUT_S: '1' } })
    const turns = (count: number) => ask(url, { inputs: [count] })
    expect((await turns(3)).status).toBe(200)
    expect(await turns(1e12)).toMatchObject({ status: 504, code: 'timeout' })
    expect((await turns(5)).status).toBe(200)
    await cloud.host.recycle(id)
    expect(counted(await cloud.usageRows(id))).toMatchObject({ requests: 3, errors: 1, cold_starts: 1 })
  })

  it('answers before Lambda itself would end it, whatever its own limit says', async () => {
    const { url, id } = await cloud.deploy(loopModel(false), { timeout_s: 2, environment: { AIDEPLOY_TIMEOUT_S: '60' } })
    expect(await ask(url, { inputs: [1e12] })).toMatchObject({ status: 504, code: 'timeout' })
    expect(cloud.host.logs(id).join('\n')).not.toContain('Task timed out')
  })

  it('repeats a call once whose process was killed from outside', async () => {
    const { url, id } = await cloud.deploy(loopModel(false))
    await ask(url, { inputs: [1] })
    const before = modelsOf(id)
    expect(before).toHaveLength(1)
    const answered = ask(url, { inputs: [1_200_000] })
    await pause(150)
    for (const pid of before) process.kill(Number(pid), 'SIGKILL')
    expect((await answered).status).toBe(200)
    expect(modelsOf(id)).not.toEqual(before)
    await cloud.host.recycle(id)
    expect(counted(await cloud.usageRows(id))).toMatchObject({ requests: 2, errors: 0 })
  })

  it('shows the model process no credential: its environment is empty, its folder too', async () => {
    const { url, id } = await cloud.deploy(dense())
    expect((await ask(url)).status).toBe(200)
    const models = modelsOf(id)
    expect(models).toHaveLength(1)
    for (const pid of models) {
      expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).toBe('')
      expect(readdirSync(`/proc/${pid}/cwd/`)).toEqual([])
    }
    // The function that started it has them, so that an empty environment proves something.
    expect(readFileSync(`/proc/${parentOf(models[0] ?? '')}/environ`, 'latin1')).toContain('test-secret-of-the-role')
  })
})

const ofProcess = (pid: string, file: string): string => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return ''
  }
}
const parentOf = (pid: string): string => /^PPid:\s+(\d+)$/m.exec(ofProcess(pid, 'status'))?.[1] ?? ''
const belongsTo = (pid: string, deployment_id: string): boolean =>
  ofProcess(parentOf(pid), 'environ').split('\0').includes(`AIDEPLOY_DEPLOYMENT=${deployment_id}`)
const peakBytes = (pid: string): number => Number(/^VmHWM:\s+(\d+) kB/m.exec(ofProcess(pid, 'status'))?.[1]) * 1024
/** Model processes of a deployment's function. */
const modelsOf = (id: string): string[] =>
  processesWith(`${cloud.folderOf(id)}/children/serving-main.mjs`).filter((pid) => belongsTo(pid, id))

describe('a model function with a large model', () => {
  it('maps it to answer at once, hands over to a prepacked process, and never holds it in its own memory', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'aideploy-large-')), 'model.onnx')
    await pipeline(largeModel(112_000_000), createWriteStream(path))
    const { url, id } = await cloud.deploy(path, { memory_mb: 2048 })
    rmSync(dirname(path), { recursive: true })
    const eight = { inputs: [[1, 2, 3, 4, 5, 6, 7, 8]] }
    expect((await ask(url, eight)).status).toBe(200)
    const [first = ''] = modelsOf(id)
    const holder = parentOf(first)
    await expect
      .poll(async () => [(await ask(url, eight)).status, modelsOf(id).includes(first)], { timeout: 10_000 })
      .toEqual([200, false])
    const small = await cloud.deploy(dense())
    expect((await ask(small.url)).status).toBe(200)
    const more_bytes = peakBytes(holder) - peakBytes(parentOf(modelsOf(small.id)[0] ?? ''))
    // Node collects the pieces that passed through once they are about 64 MB.
    expect(more_bytes).toBeLessThan(95e6)
  })
})

describe('a model function under load', () => {
  it('answers a hundred calls at once, each with its own answer, and counts each once', async () => {
    const { url, id } = await cloud.deploy(loopModel(false))
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, at) => {
        const { status, text } = await post(url, { inputs: [at + 1] })
        return { status, outputs: JSON.parse(text).outputs }
      }),
    )
    expect(answers).toEqual(Array.from({ length: 100 }, (_, at) => ({ status: 200, outputs: [at + 1] })))
    await cloud.host.recycle(id)
    const { requests, errors, cold_starts } = counted(await cloud.usageRows(id))
    expect({ requests, errors }).toEqual({ requests: 100, errors: 0 })
    expect(cold_starts).toBeLessThanOrEqual(6)
  })
})
