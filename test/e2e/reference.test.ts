import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import * as documented from '../fixtures/documented.ts'
import { departures } from '../support/documented.ts'
import { denseModel } from '../support/models.ts'
import { eventually, type Platform, startPlatform } from '../support/platform.ts'

/** Every request of the API reference and of the developer guide, against the real host; answers are compared member by member. */

let platform: Platform
let model_id = ''
let optimized_id = ''
let deployment_id = ''
let endpoint = ''

const Id = z.object({ id: z.string() })
const Status = z.object({ status: z.string(), endpoint: z.string().nullable().optional() })

beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(async () => {
  await platform.stop()
  await platform.remove()
})

const matches = (wanted: unknown, answer: { status: number; body: unknown }): void => {
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  expect(departures(wanted, answer.body, documented.maps)).toEqual([])
}

const body = {
  name: 'deployment-name',
  model_type: 'original',
  deployment_type: 'serverless',
  resource_requirements: { cpu: '1', memory: '2Gi', gpu: null, timeout: 30 },
  scaling_policy: { min_instances: 1, max_instances: 5, target_cpu_utilization: 70 },
  cost_optimization_policy: {
    use_spot_instances: true,
    hibernation_enabled: true,
    hibernation_idle_timeout: 1800,
    multi_cloud_enabled: true,
  },
}

describe('authentication', () => {
  it('answers a token for name and password', async () => {
    const reply = await fetch(`${platform.url}/auth/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'admin', password: platform.password }),
    })
    matches(documented.token, { status: reply.status, body: await reply.json() })
  })

  it('answers 401 without one', async () => {
    const reply = await fetch(`${platform.url}/models`)
    expect(reply.status).toBe(401)
    expect(reply.headers.get('content-type')).toBe('application/problem+json')
  })
})

describe('models', () => {
  it('uploads a model', async () => {
    const answer = await platform.upload('model.onnx', denseModel([64, 256, 256, 10]), {
      name: 'model-name',
      metadata: '{"key": "value"}',
    })
    matches(documented.uploaded, answer)
    model_id = z.object({ model_id: z.string() }).parse(answer.body).model_id
  })

  it('uploads a model without metadata, as the developer guide does', async () => {
    matches(documented.uploaded, await platform.upload('my-model.onnx', denseModel([4, 8, 2]), { name: 'my-model' }))
  })

  it('lists models', async () => {
    const answer = await platform.call('GET', '/models')
    matches([documented.model], answer)
    expect(answer.body).toHaveLength(2)
  })

  it('gets a model with the metadata its owner sent', async () => {
    const answer = await platform.call('GET', `/models/${model_id}`)
    matches(documented.model, answer)
    expect(answer.body).toMatchObject({ id: model_id, framework: 'onnx', version: '1.0', metadata: { key: 'value' } })
  })

  it('optimises a model', async () => {
    const answer = await platform.call('POST', `/models/${model_id}/optimize`, {
      method: 'quantization',
      target_size: '10MB',
      target_latency: 10.0,
      metadata: { precision: 'int8' },
    })
    matches(documented.started, answer)
    optimized_id = Id.parse(answer.body).id
  })

  it('lists optimised models with what was measured', async () => {
    const settled = await eventually(
      () => platform.call('GET', `/models/${model_id}/optimized`),
      ({ body }) => z.array(Status).parse(body)[0]?.status !== 'optimizing',
      90_000,
    )
    expect(settled.body).toMatchObject([{ id: optimized_id, status: 'completed', metadata: { precision: 'int8' } }])
    matches([documented.optimized], settled)
  })

  it('takes the developer guide’s shorter request', async () => {
    matches(
      documented.started,
      await platform.call('POST', `/models/${model_id}/optimize`, { method: 'quantization', target_latency: 10.0 }),
    )
  })
})

describe('deployments', () => {
  it('creates a deployment', async () => {
    const answer = await platform.call('POST', '/deployments', { ...body, model_id, metadata: {} })
    matches(documented.created, answer)
    deployment_id = Id.parse(answer.body).id
  })

  it('creates one from the developer guide’s request, which leaves gpu and metadata out', async () => {
    const { gpu: _, ...resource_requirements } = body.resource_requirements
    const answer = await platform.call('POST', '/deployments', {
      ...body,
      name: 'my-deployment',
      resource_requirements,
      model_id,
    })
    matches(documented.created, answer)
    const { id } = Id.parse(answer.body)
    await eventually(
      () => platform.call('GET', `/deployments/${id}`),
      ({ body: seen }) => Status.parse(seen).status === 'active',
    )
    matches(documented.message, await platform.call('DELETE', `/deployments/${id}`))
  })

  it('gets a deployment, active soon', async () => {
    const settled = await eventually(
      () => platform.call('GET', `/deployments/${deployment_id}`),
      ({ body: seen }) => Status.parse(seen).status === 'active',
    )
    matches(documented.deployment, settled)
    endpoint = z.object({ endpoint: z.string() }).parse(settled.body).endpoint
  })

  it('lists deployments', async () => {
    matches([documented.deployment], await platform.call('GET', '/deployments'))
  })

  it('predicts at the endpoint', async () => {
    const reply = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${await platform.token()}` },
      body: JSON.stringify({ inputs: [Array.from({ length: 64 }, (_, at) => at / 64)] }),
    })
    expect(reply.status).toBe(200)
    expect(z.object({ outputs: z.array(z.array(z.number()).length(10)).length(1) }).safeParse(await reply.json()).success).toBe(
      true,
    )
  })

  it('updates a deployment', async () => {
    const answer = await platform.call('PUT', `/deployments/${deployment_id}`, {
      resource_requirements: { cpu: '2', memory: '4Gi', gpu: null, timeout: 60 },
      scaling_policy: { min_instances: 2, max_instances: 10, target_cpu_utilization: 80 },
      cost_optimization_policy: {
        use_spot_instances: false,
        hibernation_enabled: false,
        hibernation_idle_timeout: 1800,
        multi_cloud_enabled: false,
      },
      metadata: { key: 'value' },
    })
    matches(documented.deployment, answer)
    expect(answer.body).toMatchObject({
      status: 'active',
      resource_requirements: { cpu: '2', timeout: 60 },
      metadata: { key: 'value' },
    })
  })

  it.each(['hibernate', 'activate'])('%ss a deployment', async (verb) => {
    const answer = await platform.call('POST', `/deployments/${deployment_id}/${verb}`)
    matches(documented.message, answer)
    expect(answer.body).toEqual({ message: `Deployment ${deployment_id} ${verb}d successfully` })
  })
})

describe('analytics', () => {
  it.each([
    ['cost', documented.cost],
    ['performance', documented.performance],
    ['forecast?days=30', documented.forecast],
    ['suggestions', documented.suggestions],
  ])('answers %s in the documented shape', async (path, wanted) => {
    const answer = await platform.call('GET', `/analytics/${path}`)
    matches(wanted, answer)
  })

  it('counts the prediction above, and its sums are sums', async () => {
    const sum = (values: Record<string, number>): number => Object.values(values).reduce((total, value) => total + value, 0)
    const { body: cost } = await platform.call('GET', '/analytics/cost')
    const { body: traffic } = await platform.call('GET', '/analytics/performance')
    expect(z.object({ total_requests: z.number() }).parse(traffic).total_requests).toBe(1)
    const seen = z
      .object({
        total_cost: z.number(),
        cost_breakdown: z.record(z.string(), z.number()),
        cost_by_type: z.record(z.string(), z.number()),
        cost_by_deployment: z.record(z.string(), z.number()),
      })
      .parse(cost)
    expect(seen.total_cost).toBeGreaterThan(0)
    for (const part of [seen.cost_breakdown, seen.cost_by_type, seen.cost_by_deployment])
      expect(sum(part)).toBeCloseTo(seen.total_cost, 9)
  })

  it('forecasts one value a day', async () => {
    const { body: seen } = await platform.call('GET', '/analytics/forecast?days=7')
    expect(seen).toMatchObject({ days: 7 })
    expect(z.object({ total_cost_forecast: z.array(z.number()).length(7) }).safeParse(seen).success).toBe(true)
  })
})

describe('removal', () => {
  it('refuses to delete a model that is deployed', async () => {
    expect(await platform.call('DELETE', `/models/${model_id}`)).toMatchObject({ status: 409, body: { code: 'model_in_use' } })
  })

  it('deletes a deployment, then its model', async () => {
    const gone = await platform.call('DELETE', `/deployments/${deployment_id}`)
    matches(documented.message, gone)
    expect(gone.body).toEqual({ message: `Deployment ${deployment_id} deleted successfully` })
    const removed = await platform.call('DELETE', `/models/${model_id}`)
    matches(documented.message, removed)
    expect(removed.body).toEqual({ message: `Model ${model_id} deleted successfully` })
    expect((await platform.call('GET', `/models/${model_id}`)).status).toBe(404)
  })
})
