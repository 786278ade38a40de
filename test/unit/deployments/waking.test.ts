import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import type { Deployment } from '../../../layers/core/domain/deployment.ts'
import { activateDeployment } from '../../../layers/core/usecases/activate-deployment.ts'
import { createDeployment } from '../../../layers/core/usecases/create-deployment.ts'
import { hibernateDeployment } from '../../../layers/core/usecases/hibernate-deployment.ts'
import { hibernateIdle } from '../../../layers/core/usecases/hibernate-idle.ts'
import { belowEndpoint, type InferenceCall, inferDeployment } from '../../../layers/core/usecases/infer-deployment.ts'
import { stopDeployment } from '../../../layers/core/usecases/stop-deployment.ts'
import { callOf, codeOf, createdIn, makeWorld, owner, until, type World, wanted } from '../../support/deployment-world.ts'

let world: World
beforeEach(async () => {
  world = await makeWorld()
})
afterEach(() => world.stop())

const created = (changes: Parameters<typeof wanted>[0] = {}): Promise<Deployment> => createdIn(world, changes)
const infer = (id: string, changes: Partial<InferenceCall> = {}) => inferDeployment(world.app, owner, callOf(id, changes))

describe('waking', () => {
  it('a thousand requests to a sleeper are one activation, and all are answered', async () => {
    const { id } = await created()
    await hibernateDeployment(world.app, owner, id)
    world.fake.pause = (verb) => (verb === 'activate' ? new Promise((resolve) => setTimeout(resolve, 30)) : Promise.resolve())
    const replies = await Promise.all(Array.from({ length: 1000 }, () => infer(id)))
    expect(replies.every(({ status }) => status === 200)).toBe(true)
    expect(world.fake.count('activate')).toBe(1)
    expect(world.samples).toHaveLength(1000)
    expect(world.samples.filter(({ cold }) => cold)).toHaveLength(1)
    expect(world.samples.find(({ cold }) => cold)?.init_us).toBeGreaterThan(20_000)
  })

  it('waits no longer than asked, then says when to come again', async () => {
    const { id } = await created()
    await hibernateDeployment(world.app, owner, id)
    const gate = Promise.withResolvers<void>()
    world.fake.pause = (verb) => (verb === 'activate' ? gate.promise : Promise.resolve())
    for (const seconds of ['0', '0.02']) {
      const refused = await infer(id, { headers: { 'x-scale-up-timeout': seconds } }).catch((error: PlatformError) => error)
      expect(refused).toMatchObject({
        code: 'deployment_waking',
        extras: { retry_after_s: expect.any(Number), facts: { state: 'activating' } },
      })
    }
    expect(await codeOf(infer(id, { headers: { 'x-scale-up-timeout': '-1' } }))).toBe('invalid_request')
    expect(await codeOf(infer(id, { headers: { 'x-scale-up-timeout': 'soon' } }))).toBe('invalid_request')
    gate.resolve()
    expect((await infer(id)).status).toBe(200)
    expect(world.fake.count('activate')).toBe(1)
  })

  it('stops waiting when the caller goes away', async () => {
    const { id } = await created()
    await hibernateDeployment(world.app, owner, id)
    world.fake.pause = (verb) => (verb === 'activate' ? new Promise(() => {}) : Promise.resolve())
    const gone = new AbortController()
    const waiting = codeOf(infer(id, { signal: gone.signal }))
    await until(world.app, id, ({ status }) => status === 'activating')
    gone.abort()
    expect(await waiting).toBe('deployment_waking')
  })

  it('does not lose a request that arrives while it falls asleep', async () => {
    const { id } = await created()
    const gate = Promise.withResolvers<void>()
    world.fake.pause = (verb) => (verb === 'hibernate' ? gate.promise : Promise.resolve())
    const sleep = hibernateDeployment(world.app, owner, id)
    await until(world.app, id, ({ status }) => status === 'hibernating')
    const waiting = infer(id)
    gate.resolve()
    expect((await waiting).status).toBe(200)
    await sleep.catch(() => undefined)
    expect(world.fake.calls.map(({ verb }) => verb)).toEqual(['deploy', 'hibernate', 'activate', 'infer'])
  })

  it('waits for one that is being created', async () => {
    const gate = Promise.withResolvers<void>()
    world.fake.pause = (verb) => (verb === 'deploy' ? gate.promise : Promise.resolve())
    const { id } = await createDeployment(world.app, owner, wanted())
    const waiting = infer(id)
    gate.resolve()
    expect((await waiting).status).toBe(200)
  })

  it('leaves stopped and failed ones alone', async () => {
    const { id } = await created()
    await stopDeployment(world.app, owner, id)
    const refused = await infer(id).catch((error: PlatformError) => error)
    expect(refused).toMatchObject({ code: 'deployment_unavailable', extras: { facts: { state: 'stopped' } } })
    expect(world.fake.count('activate')).toBe(0)
  })

  it('fails everybody who waited when the activation fails, falls asleep again, and is failed after three', async () => {
    const { id } = await created()
    await hibernateDeployment(world.app, owner, id)
    world.fake.pause = async (verb) => {
      if (verb === 'activate') throw new PlatformError('unavailable', 'no memory left')
    }
    for (const [round, status] of ['hibernated', 'hibernated', 'failed'].entries()) {
      const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(infer(id))))
      expect(new Set(codes)).toEqual(new Set(['deployment_unavailable']))
      expect(world.fake.count('activate')).toBe(round + 1)
      expect(await until(world.app, id, ({ transition }) => transition === null)).toMatchObject({ status })
    }
    world.fake.pause = async () => undefined
    await activateDeployment(world.app, owner, id)
    expect((await infer(id)).status).toBe(200)
  })
})

describe('health checks', () => {
  it('neither wake nor count', async () => {
    const { id } = await created()
    await hibernateDeployment(world.app, owner, id)
    const get = async (path: string) => {
      const { status, body } = await infer(id, { method: 'GET', path })
      return [status, JSON.parse(new TextDecoder().decode(body as Uint8Array))]
    }
    expect(await get('/v2/health/live')).toEqual([200, { live: true }])
    expect(await get('/v2/health/ready')).toEqual([200, { ready: true, state: 'hibernated' }])
    expect(await get('/v2/models/digits/ready')).toEqual([200, { name: 'digits', ready: true, state: 'hibernated' }])
    await stopDeployment(world.app, owner, id)
    expect(await get('/v2/health/ready')).toEqual([400, { ready: false, state: 'stopped' }])
    expect(world.samples).toEqual([])
    expect(world.fake.count('activate')).toBe(0)
  })

  it('finds what follows the endpoint', () => {
    expect(belowEndpoint('/deployments/dep_1/inference')).toBe('')
    expect(belowEndpoint('/deployments/dep_1/inference/v2/models/a%2Fb/infer')).toBe('/v2/models/a%2Fb/infer')
  })
})

describe('the schedule that hibernates', () => {
  it('puts what is idle to sleep, with reason and savings on record', async () => {
    const idle = await created({
      cost_optimization_policy: { hibernation_idle_timeout: 60 },
      scaling_policy: { min_instances: 2 },
    })
    const used = await created({ cost_optimization_policy: { hibernation_idle_timeout: 60 } })
    const kept = await created({ cost_optimization_policy: { hibernation_enabled: false } })
    world.app.prices = {
      version: 'list-1',
      tiers: () => [
        {
          sku: 's',
          region: 'r',
          unit: 'GB-second',
          usd_per_unit: 0.5,
          from_quantity: 0,
          source: 'x',
          effective_date: 'x',
          fetched_at: 'x',
        },
      ],
    }
    expect(await hibernateIdle(world.app)).toEqual({ active: 3, hibernated: 0, failed: 0 })
    world.skip(61_000)
    world.lastRequests.set(used.id, world.app.now())
    expect(await hibernateIdle(world.app)).toEqual({ active: 3, hibernated: 1, failed: 0 })
    expect(await until(world.app, idle.id, ({ status }) => status === 'hibernated')).toMatchObject({
      status_reason: expect.stringContaining('its limit is 60 s'),
    })
    const { items } = await world.app.records.query({ pk: 'org#org_1', from: 'hibernation#', to: 'hibernation#~' })
    expect(items.map(({ body }) => body)).toMatchObject([
      {
        deployment_id: idle.id,
        action: 'hibernate',
        idle_timeout_s: 60,
        saves_usd_per_hour: 2 * 2 * 3600 * 0.5,
        basis: expect.stringContaining('list-1'),
      },
    ])
    expect(world.fake.up.has(used.id) && world.fake.up.has(kept.id)).toBe(true)
    expect((await infer(idle.id)).status).toBe(200)
  })

  it('lets a request that runs longer than the time-out finish', async () => {
    const { id } = await created({ cost_optimization_policy: { hibernation_idle_timeout: 1 } })
    const gate = Promise.withResolvers<void>()
    world.fake.pause = (verb) => (verb === 'infer' ? gate.promise : Promise.resolve())
    const running = infer(id)
    await until(world.app, id, () => world.fake.count('infer') === 1)
    world.skip(60_000)
    expect(await hibernateIdle(world.app)).toMatchObject({ hibernated: 0 })
    gate.resolve()
    await running
    expect(await hibernateIdle(world.app)).toMatchObject({ hibernated: 1 })
  })
})
