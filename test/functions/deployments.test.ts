import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { CreateDeployment } from '../../layers/core/contract/routes/deployments.ts'
import { UploadReply } from '../../layers/core/contract/routes/models.ts'
import { DeploymentReply } from '../../layers/core/domain/deployment.ts'
import { denseModel } from '../support/models.ts'
import { eventually, type Platform, startPlatform } from '../support/platform.ts'

/** The reference's deployment body, member by member. */
const Documented = z.object({
  id: z.string(),
  name: z.string(),
  model_id: z.string(),
  model_type: z.string(),
  deployment_type: z.string(),
  status: z.string(),
  endpoint: z.string().nullable(),
  resource_requirements: z.strictObject({ cpu: z.string(), memory: z.string(), gpu: z.null(), timeout: z.number() }),
  scaling_policy: z.strictObject({ min_instances: z.number(), max_instances: z.number(), target_cpu_utilization: z.number() }),
  cost_optimization_policy: z.strictObject({
    use_spot_instances: z.boolean(),
    hibernation_enabled: z.boolean(),
    hibernation_idle_timeout: z.number(),
    multi_cloud_enabled: z.boolean(),
  }),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
  metadata: z.record(z.string(), z.json()),
})

let platform: Platform
let model_id: string
beforeAll(async () => {
  platform = await startPlatform()
  model_id = UploadReply.parse((await platform.upload('digits.onnx', denseModel([8, 16, 4]))).body).model_id
})
afterAll(async () => {
  await platform?.stop()
  await platform?.remove()
})

const get = async (id: string) => DeploymentReply.parse((await platform.call('GET', `/deployments/${id}`)).body)
const deployed = async (changes: Partial<z.input<typeof CreateDeployment>> = {}): Promise<DeploymentReply> => {
  const body = { name: 'digits', model_id, deployment_type: 'serverless', resource_requirements: { memory: '512Mi' }, ...changes }
  const reply = await platform.call('POST', '/deployments', body)
  expect(reply.status, JSON.stringify(reply.body)).toBe(200)
  const { id } = Documented.parse(reply.body)
  return eventually(
    () => get(id),
    ({ status }) => status === 'active',
    30_000,
  )
}
const numbersIn = (body: unknown): number[] =>
  z
    .object({ outputs: z.array(z.array(z.number())).min(1) })
    .parse(body)
    .outputs.flat()
const predict = (id: string) => platform.call('POST', `/deployments/${id}/inference`, { inputs: [Array(8).fill(0.5)] })

describe('deployments over HTTP, with real model processes', () => {
  it('live as the reference says: create, read, change, sleep, wake, delete', async () => {
    const reply = await platform.call('POST', '/deployments', {
      name: 'digits',
      model_id,
      deployment_type: 'serverless',
      resource_requirements: { cpu: '1', memory: '512Mi' },
    })
    const created = Documented.parse(reply.body)
    expect(created).toMatchObject({
      status: 'creating',
      endpoint: null,
      model_type: 'original',
      resource_requirements: { cpu: '1', memory: '512Mi', gpu: null, timeout: 30 },
      scaling_policy: { min_instances: 0, max_instances: 5, target_cpu_utilization: 70 },
      cost_optimization_policy: {
        use_spot_instances: false,
        hibernation_enabled: true,
        hibernation_idle_timeout: 1800,
        multi_cloud_enabled: false,
      },
      metadata: {},
    })
    const { id } = created
    const active = await eventually(
      () => get(id),
      ({ status }) => status === 'active',
      30_000,
    )
    expect(active.endpoint).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:\\d+/deployments/${id}/inference$`))
    const before = await predict(id)
    expect(before).toMatchObject({ status: 200, body: { outputs: expect.any(Array) } })

    const change = { scaling_policy: { min_instances: 0, max_instances: 2 }, metadata: { key: 'value' } }
    const updated = await platform.call('PUT', `/deployments/${id}`, change)
    expect(updated.status).toBe(200)
    expect(Documented.parse(updated.body)).toMatchObject({ status: 'active', metadata: { key: 'value' } })
    expect((await predict(id)).body).toEqual(before.body)

    for (const verb of ['hibernate', 'activate', 'stop', 'activate'] as const) {
      const past = { hibernate: 'hibernated', activate: 'activated', stop: 'stopped' }[verb]
      const answer = await platform.call('POST', `/deployments/${id}/${verb}`)
      expect(answer).toMatchObject({ status: 200, body: { message: `Deployment ${id} ${past} successfully` } })
    }
    const revisions = z
      .array(z.looseObject({ revision: z.number() }))
      .parse((await platform.call('GET', `/deployments/${id}/revisions`)).body)
    expect(revisions.map(({ revision }) => revision)).toEqual([2, 1])
    const back = await platform.call('POST', `/deployments/${id}/rollback`, { revision: 1 })
    expect(back).toMatchObject({ status: 200, body: { revision: 3, metadata: {} } })

    const list = z.array(Documented).parse((await platform.call('GET', '/deployments?name=digits')).body)
    expect(list.map((one) => one.id)).toContain(id)
    const gone = await platform.call('DELETE', `/deployments/${id}`)
    expect(gone).toMatchObject({ status: 200, body: { message: `Deployment ${id} deleted successfully` } })
    expect((await platform.call('GET', `/deployments/${id}`)).status).toBe(404)
    expect(await predict(id)).toMatchObject({ status: 404, body: { code: 'not_found', error: expect.any(String) } })
  })

  it('take changes in quick succession, each a revision that serves', async () => {
    const { id } = await deployed()
    for (let change = 1; change <= 8; change++) {
      const answer = await platform.call('PUT', `/deployments/${id}`, {
        scaling_policy: { min_instances: 2, max_instances: 2, target_cpu_utilization: 70 },
        metadata: { change },
      })
      expect(answer).toMatchObject({ status: 200, body: { status: 'active', revision: change + 1, metadata: { change } } })
    }
    expect((await predict(id)).status).toBe(200)
    await platform.call('DELETE', `/deployments/${id}`)
  })

  it('are known to the protocol by name and by id', async () => {
    const { id, name } = await deployed()
    for (const model of [name, id]) {
      const answer = await platform.call('GET', `/deployments/${id}/inference/v2/models/${encodeURIComponent(model)}`)
      expect(answer).toMatchObject({ status: 200, body: { name } })
      expect(
        (await platform.call('GET', `/deployments/${id}/inference/v2/models/${encodeURIComponent(model)}/ready`)).status,
      ).toBe(200)
    }
    expect((await platform.call('GET', `/deployments/${id}/inference/v2/models/${id}x`)).status).toBe(404)
    await platform.call('DELETE', `/deployments/${id}`)
  })

  it('refuse members they do not know, by name', async () => {
    const answer = await platform.call('PUT', '/deployments/dep_1', { scaling_polcy: {} })
    expect(answer).toMatchObject({
      status: 422,
      body: { code: 'invalid_request', detail: expect.stringContaining('scaling_polcy') },
    })
  })

  it('wake for a request and give the same answer as before', async () => {
    const { id } = await deployed()
    const before = await predict(id)
    await platform.call('POST', `/deployments/${id}/hibernate`)
    expect((await get(id)).status).toBe('hibernated')
    const answers = await Promise.all(Array.from({ length: 50 }, () => predict(id)))
    for (const answer of answers) {
      expect(answer.status).toBe(200)
      // Requests that run in one batch may differ in the last bit of a float.
      numbersIn(answer.body).forEach((number, at) => {
        expect(number).toBeCloseTo(numbersIn(before.body)[at] ?? Number.NaN, 6)
      })
    }
    expect((await get(id)).status).toBe('active')
  })

  it('fall asleep by themselves, with the reason', async () => {
    const { id } = await deployed({ cost_optimization_policy: { hibernation_idle_timeout: 1 } })
    const asleep = await eventually(
      () => get(id),
      ({ status }) => status === 'hibernated',
      15_000,
    )
    expect(asleep.status_reason).toContain('its limit is 1 s')
    expect((await predict(id)).status).toBe(200)
  })

  it('refuse with problem documents that say what was wrong', async () => {
    const { id } = await deployed()
    const post = (body: object) =>
      platform.call('POST', '/deployments', { name: 'x', model_id, deployment_type: 'serverless', ...body })
    expect(await post({ deployment_type: 'kubernetes' })).toMatchObject({
      status: 422,
      body: { code: 'unavailable_here', available: ['serverless'] },
    })
    expect(await post({ model_id: 'mod_none' })).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await post({ model_type: 'optimized' })).toMatchObject({ status: 409, body: { code: 'not_optimized' } })
    expect(await post({ resource_requirements: { gpu: 'a100' } })).toMatchObject({
      status: 422,
      body: { code: 'invalid_request', errors: [{ pointer: '/resource_requirements/gpu' }] },
    })
    await platform.call('POST', `/deployments/${id}/stop`)
    expect(await platform.call('POST', `/deployments/${id}/hibernate`)).toMatchObject({
      status: 409,
      body: { code: 'illegal_transition', state: 'stopped' },
    })
    expect(await predict(id)).toMatchObject({ status: 503, body: { code: 'deployment_unavailable' } })
  })
})

describe('a host that is killed', () => {
  it('comes back with what was acknowledged: sleepers sleep, warm ones are warm, half-made ones are made', async () => {
    const first = await startPlatform()
    const { model_id: model } = UploadReply.parse((await first.upload('digits.onnx', denseModel([8, 16, 4]))).body)
    const create = async (changes: object) => {
      const body = {
        name: 'd',
        model_id: model,
        deployment_type: 'serverless',
        resource_requirements: { memory: '512Mi' },
        ...changes,
      }
      return Documented.parse((await first.call('POST', '/deployments', body)).body).id
    }
    const read = (host: Platform) => async (id: string) => Documented.parse((await host.call('GET', `/deployments/${id}`)).body)
    const warm = await create({ scaling_policy: { min_instances: 1 } })
    const sleeper = await create({})
    for (const id of [warm, sleeper])
      await eventually(
        () => read(first)(id),
        ({ status }) => status === 'active',
        30_000,
      )
    await first.call('POST', `/deployments/${sleeper}/hibernate`)
    const half_made = await create({})
    await first.kill()
    const second = await startPlatform({ home: first.home })
    try {
      const isActive = ({ status }: { status: string }) => status === 'active'
      expect(await eventually(() => read(second)(warm), isActive, 30_000)).toMatchObject({ status: 'active' })
      expect(await eventually(() => read(second)(half_made), isActive, 30_000)).toMatchObject({ status: 'active' })
      expect(await read(second)(sleeper)).toMatchObject({ status: 'hibernated' })
      for (const id of [warm, sleeper, half_made]) {
        const answer = await second.call('POST', `/deployments/${id}/inference`, { inputs: [Array(8).fill(1)] })
        expect(answer.status, JSON.stringify(answer.body)).toBe(200)
      }
    } finally {
      await second.stop()
      await second.remove()
    }
  })
})
