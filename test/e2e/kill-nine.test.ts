import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { denseModel, identityModel } from '../support/models.ts'
import { eventually, faults, type Platform, startPlatform } from '../support/platform.ts'
import { descendants, processes, seeded } from '../support/processes.ts'
import { Id, ModelId } from '../support/tenants.ts'

/** The host is killed at seeded moments in the middle of its work; whatever it had acknowledged is there afterwards, and nothing is stuck. */

const kills = 16
const home = mkdtempSync(join(tmpdir(), 'aideploy-killed-'))
const random = seeded(20_261_121)
const open: Platform[] = []
afterAll(async () => {
  for (const platform of open) await platform.kill()
  rmSync(home, { recursive: true, force: true })
})

/** What was answered with success before a kill. */
const acknowledged = {
  models: new Map<string, string>(),
  deleted_models: new Set<string>(),
  /** Ever uploaded: an unanswered deletion may or may not have happened. */
  uploads: new Set<string>(),
  deployments: new Set<string>(),
  deleted_deployments: new Set<string>(),
  optimizations: new Map<string, string>(),
}

const Status = z.object({ status: z.string() })
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const pick = <Item>(items: readonly Item[]): Item | undefined => items[Math.floor(random() * items.length)]

/** Something to do; a call that finds the host gone just ends. */
const jobs: Record<string, (platform: Platform) => Promise<void>> = {
  upload: async (platform) => {
    const bytes = denseModel([8, 8 + Math.floor(random() * 400), 4])
    const answer = await platform.upload('model.onnx', bytes, { name: 'survivor' })
    if (answer.status !== 200) return
    const { model_id } = ModelId.parse(answer.body)
    acknowledged.models.set(model_id, sha256(bytes))
    acknowledged.uploads.add(model_id)
  },
  deploy: async (platform) => {
    const model_id = pick([...acknowledged.models.keys()])
    if (model_id === undefined || acknowledged.deployments.size > 5) return
    const answer = await platform.call('POST', '/deployments', { name: 'survivor', model_id, deployment_type: 'serverless' })
    if (answer.status === 200) acknowledged.deployments.add(Id.parse(answer.body).id)
  },
  change: async (platform) => {
    const id = pick([...acknowledged.deployments])
    if (id === undefined) return
    const verb = pick(['hibernate', 'activate', 'inference', 'update'])
    if (verb === 'update') await platform.call('PUT', `/deployments/${id}`, { metadata: { turn: random() } })
    else if (verb === 'inference') await platform.call('POST', `/deployments/${id}/inference`, { inputs: [Array(8).fill(1)] })
    else await platform.call('POST', `/deployments/${id}/${verb}`)
  },
  remove: async (platform) => {
    const id = pick([...acknowledged.deployments])
    if (id === undefined || random() < 0.7) return
    // From here on nobody can say whether it is there, until the deletion is acknowledged.
    acknowledged.deployments.delete(id)
    const answer = await platform.call('DELETE', `/deployments/${id}`)
    if (answer.status === 200) acknowledged.deleted_deployments.add(id)
  },
  forget: async (platform) => {
    const id = pick([...acknowledged.models.keys()])
    if (id === undefined || random() < 0.9) return
    const digest = acknowledged.models.get(id) ?? ''
    acknowledged.models.delete(id)
    const answer = await platform.call('DELETE', `/models/${id}`)
    if (answer.status === 200) acknowledged.deleted_models.add(id)
    else acknowledged.models.set(id, digest)
  },
  optimize: async (platform) => {
    const model_id = pick([...acknowledged.models.keys()])
    if (model_id === undefined || acknowledged.optimizations.size > 2) return
    const answer = await platform.call('POST', `/models/${model_id}/optimize`, { method: 'quantization', time_budget_s: 5 })
    if (answer.status === 200) acknowledged.optimizations.set(Id.parse(answer.body).id, model_id)
  },
}

/** Jobs that ended, with a call or without. */
let calls = 0

/** Works until the host is gone. */
const worker = async (platform: Platform, names: string[]): Promise<void> => {
  for (;;) {
    try {
      await jobs[pick(names) ?? 'upload']?.(platform)
      calls += 1
      await new Promise((resolve) => setTimeout(resolve, 1))
    } catch (error) {
      if (platform.process.exitCode !== null || platform.process.signalCode !== null || error instanceof TypeError) return
      throw error
    }
  }
}

const start = async (): Promise<Platform> => {
  const platform = await startPlatform({ home })
  open.push(platform)
  return platform
}

const orphans: number[] = []

describe(`${kills} kills`, () => {
  it('lose nothing on the way', { timeout: 170_000 }, async () => {
    for (let turn = 0; turn < kills; turn++) {
      const platform = await start()
      await platform.token()
      const { body } = await platform.call('GET', '/models')
      const known = z
        .array(Id)
        .parse(body)
        .map(({ id }) => id)
      for (const id of acknowledged.models.keys()) expect(known, `turn ${turn}`).toContain(id)
      for (const id of acknowledged.deleted_models) expect(known, `turn ${turn}`).not.toContain(id)
      const working = [
        worker(platform, ['upload']),
        worker(platform, ['deploy', 'change', 'change', 'remove']),
        worker(platform, ['change', 'change', 'optimize', 'upload', 'forget']),
      ]
      await new Promise((resolve) => setTimeout(resolve, 60 + random() * 1500))
      orphans.push(...descendants(platform.process.pid ?? 0).map(({ pid }) => pid))
      await platform.kill()
      await Promise.all(working)
      expect(faults(platform)).toEqual([])
    }
    expect(acknowledged.uploads.size).toBeGreaterThan(0)
    expect(calls).toBeGreaterThan(kills)
    expect(acknowledged.deployments.size + acknowledged.deleted_deployments.size).toBeGreaterThan(0)
    expect(orphans.length).toBeGreaterThan(kills)
  })

  it('leave no process behind', async () => {
    const left = await eventually(
      async () => processes().filter(({ pid }) => orphans.includes(pid)),
      (list) => list.length === 0,
      10_000,
    )
    expect(left).toEqual([])
  })

  it('and afterwards everything acknowledged is there, whole, and nothing is stuck', { timeout: 170_000 }, async () => {
    const platform = await start()
    for (const [id, digest] of acknowledged.models) {
      const { status, body } = await platform.call('GET', `/models/${id}`)
      expect([id, status]).toEqual([id, 200])
      const model = z.object({ sha256: z.string(), storage_path: z.string() }).parse(body)
      expect(model.sha256).toBe(digest)
      const [file = 'none'] = stored().filter((path) => path.replaceAll('+/', '/').endsWith(model.storage_path))
      expect(sha256(readFileSync(join(home, 'artifacts', file)))).toBe(digest)
    }
    for (const id of acknowledged.deleted_models) expect((await platform.call('GET', `/models/${id}`)).status).toBe(404)
    for (const id of acknowledged.deleted_deployments) expect((await platform.call('GET', `/deployments/${id}`)).status).toBe(404)
    for (const id of acknowledged.deployments) {
      const settled = await eventually(
        () => platform.call('GET', `/deployments/${id}`),
        ({ body }) => /^(active|hibernated)$/.test(Status.safeParse(body).data?.status ?? ''),
        30_000,
      )
      expect(settled, JSON.stringify(settled.body)).toMatchObject({
        status: 200,
        body: { status: expect.stringMatching(/^(active|hibernated)$/) },
      })
      const answer = await platform.call('POST', `/deployments/${id}/inference`, { inputs: [Array(8).fill(1)] })
      expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    }
    for (const [id, model_id] of acknowledged.optimizations) {
      if (!acknowledged.models.has(model_id)) continue
      const settled = await eventually(
        () => platform.call('GET', `/models/${model_id}/optimized/${id}`),
        ({ body }) => Status.safeParse(body).data?.status !== 'optimizing',
        60_000,
      )
      expect(Status.parse(settled.body).status).toMatch(/^(completed|failed)$/)
    }
  })

  it('and no bytes lie around that no record knows', async () => {
    const platform = open.at(-1)
    if (platform === undefined) throw new Error('no host')
    const { body } = await platform.call('GET', '/models')
    const known = new Set([
      ...z
        .array(Id)
        .parse(body)
        .map(({ id }) => id),
      ...acknowledged.deleted_models,
    ])
    // One whose acknowledgement was lost with its host may have ended well all the same.
    for (const id of [...known].filter((each) => !acknowledged.deleted_models.has(each))) {
      const { body: optimized } = await platform.call('GET', `/models/${id}/optimized`)
      for (const { id: optimized_id } of z.array(Id).parse(optimized)) known.add(optimized_id)
    }
    const strays = (): string[] =>
      stored().filter((path) => {
        const [owner] = /(mod|opt)_[0-9a-f]{32}/.exec(path) ?? []
        return owner === undefined || !(known.has(owner) || acknowledged.optimizations.has(owner))
      })
    await eventually(
      async () => strays(),
      (list) => list.length === 0,
      5000,
    )
    expect(strays()).toEqual([])
    const answer = await platform.upload('after.onnx', identityModel('FP32', ['batch', 4]))
    expect(answer.status).toBe(200)
    expect(faults(platform)).toEqual([])
    expect(await platform.stop()).toBe(0)
  })
})

const stored = (): string[] =>
  readdirSync(join(home, 'artifacts'), { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [relative(join(home, 'artifacts'), join(entry.parentPath, entry.name))] : [],
  )
