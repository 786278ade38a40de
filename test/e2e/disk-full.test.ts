import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { denseModel, identityModel } from '../support/models.ts'
import { eventually, faults, type Platform, startPlatform } from '../support/platform.ts'
import { echoDeployment } from '../support/tenants.ts'

/** The data folder on a file system of 20 MB. Needs the right to mount one; the adapters' own tests inject ENOSPC where that is missing. */

const folder = mkdtempSync(join(tmpdir(), 'aideploy-full-'))
const mounts = (): boolean => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'none', folder], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
const mounted = mounts()
afterAll(() => {
  if (mounted) execFileSync('umount', ['-l', folder])
  rmSync(folder, { recursive: true, force: true })
})

const filler = join(folder, 'filler')
/** Takes every byte that is left. */
const fill = (): void => {
  const file = openSync(filler, 'w')
  try {
    for (const size of [65_536, 4096, 1]) {
      const piece = Buffer.alloc(size)
      for (let full = false; !full; ) {
        try {
          full = writeSync(file, piece) === 0
        } catch {
          full = true
        }
      }
    }
  } finally {
    closeSync(file)
  }
}
const free_bytes = (): number => {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}
const stored = (): string[] =>
  readdirSync(join(folder, 'home', 'artifacts'), { recursive: true, withFileTypes: true })
    .flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []))
    .sort()

describe.runIf(mounted)('a full disk', () => {
  let platform: Platform
  let deployment_id = ''
  let model_id = ''
  beforeAll(async () => {
    platform = await startPlatform({ home: join(folder, 'home') })
    const made = await echoDeployment(platform)
    deployment_id = made.deployment_id
    model_id = made.model_id
  })
  afterAll(async () => {
    expect(faults(platform)).toEqual([])
    await platform.kill()
  })
  const infer = () => platform.call('POST', `/deployments/${deployment_id}/inference`, { inputs: [[1, 2, 3, 4]] })
  const full = { status: 507, body: { code: 'storage_full' } }

  it('refuses an upload that does not fit with 507, keeps nothing of it and goes on', async () => {
    const before = [stored(), free_bytes() >> 20]
    expect(await platform.upload('large.onnx', denseModel([3000, 3000, 10]))).toMatchObject(full)
    expect(stored()).toEqual(before[0])
    expect(free_bytes() >> 20).toBe(before[1])
    expect((await infer()).status).toBe(200)
    expect((await platform.upload('small.onnx', identityModel('FP32', ['batch', 4]))).status).toBe(200)
  })

  it('with no byte left: 507 to what must be written, answers to everything else', async () => {
    const { parts } = z
      .object({ parts: z.array(z.object({ url: z.string() })) })
      .parse((await platform.call('POST', '/models', { name: 'p', framework: 'onnx', version: '1', size_bytes: 4_000_000 })).body)
    const before = stored()
    fill()
    // The log of the records may hold some room: use it up, as a busy platform would.
    const writes = await eventually(
      () => platform.call('PATCH', `/models/${model_id}`, { metadata: { text: 'x'.repeat(100_000) } }),
      ({ status }) => status !== 200,
    )
    expect(writes).toMatchObject(full)
    const refused = [
      await platform.upload('small.onnx', denseModel([64, 64])),
      await platform.call('POST', '/deployments', {
        name: 'd',
        model_id,
        deployment_type: 'serverless',
        metadata: { text: 'x'.repeat(100_000) },
      }),
    ]
    for (const answer of refused) expect(answer, JSON.stringify(answer.body)).toMatchObject(full)
    const part = await fetch(parts[0]?.url ?? '', {
      method: 'PUT',
      body: new Uint8Array(4_000_000),
      headers: { 'content-type': 'application/octet-stream' },
    })
    expect([part.status, await part.json()]).toMatchObject([507, { code: 'storage_full' }])
    expect(stored()).toEqual(before)
    expect((await infer()).body).toEqual({ outputs: [[1, 2, 3, 4]] })
    for (const path of ['/models', '/deployments', '/health', '/analytics/cost'])
      expect((await platform.call('GET', path)).status, path).toBe(200)
  })

  it('with room again everything works again, without a restart', async () => {
    rmSync(filler)
    const answer = await eventually(
      () => platform.call('PATCH', `/models/${model_id}`, { metadata: { back: true } }),
      ({ status }) => status === 200,
      5000,
    )
    expect(answer.status).toBe(200)
    expect((await platform.upload('small.onnx', denseModel([64, 64]))).status).toBe(200)
    expect((await platform.call('POST', `/deployments/${deployment_id}/hibernate`)).status).toBe(200)
    expect((await infer()).status).toBe(200)
  })

  it('a host killed on a full disk loses nothing', async () => {
    fill()
    await platform.kill()
    rmSync(filler)
    const again = await startPlatform({ home: join(folder, 'home') })
    expect(await again.call('GET', `/models/${model_id}`)).toMatchObject({ status: 200, body: { metadata: { back: true } } })
    expect((await again.call('POST', `/deployments/${deployment_id}/inference`, { inputs: [[4, 3, 2, 1]] })).body).toEqual({
      outputs: [[4, 3, 2, 1]],
    })
    expect(faults(again)).toEqual([])
    expect(await again.stop()).toBe(0)
  })
})
