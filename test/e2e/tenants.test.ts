import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type RouteId, routeRows } from '../../layers/core/contract/routes.ts'
import { denseModel } from '../support/models.ts'
import { type Answer, faults, type Platform, startPlatform } from '../support/platform.ts'
import { type Caller, echoDeployment, Id, ModelId, newOrganization, sendDataset } from '../support/tenants.ts'
import { fill, plainBodies, variables } from '../support/wrong-values.ts'

/** Two organisations on one host: what belongs to one is to the other as if it did not exist, on every route. */

let platform: Platform
let stranger: Caller
const owned: Record<string, string> = {}
const own: Record<string, string> = {}
const unknown: Record<string, string> = {}

beforeAll(async () => {
  platform = await startPlatform()
  const { deployment_id } = await echoDeployment(platform)
  const dense = await platform.upload('owned.onnx', denseModel([4, 8, 2]), { name: 'owned' })
  const { model_id } = ModelId.parse(dense.body)
  const optimized = await platform.call('POST', `/models/${model_id}/optimize`, { method: 'quantization' })
  const user = await platform.call('POST', '/users', { username: 'colleague', password: 'colleague password' })
  const key = await platform.call('POST', '/api-keys', { name: 'key' })
  const dataset = await sendDataset(platform, 'rows.jsonl', Buffer.from('{"x": [1, 2, 3, 4]}'))
  const schedule = await platform.call('POST', '/reports/schedules', { name: 'costs', recipients: ['colleague@example.com'] })
  Object.assign(owned, {
    model_id,
    deployment_id,
    optimized_id: Id.parse(optimized.body).id,
    user_id: Id.parse(user.body).id,
    key_id: Id.parse(key.body).id,
    dataset_id: Id.parse(dataset.body).id,
    schedule_id: Id.parse(schedule.body).id,
    path: 'v2/models/echo',
  })
  for (const [name, id] of Object.entries(owned)) unknown[name] = id.replace(/[0-9a-f]{6}$/, '000000')
  unknown.path = 'v2/models/echo'
  stranger = await newOrganization(platform, 'stranger')
  const form = new FormData()
  for (const [name, value] of Object.entries({ name: 'mine', framework: 'onnx', version: '1' })) form.set(name, value)
  form.set('file', new Blob([new Uint8Array(denseModel([4, 2]))]), 'm.onnx')
  const uploaded = await fetch(`${platform.url}/models`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stranger.credential}` },
    body: form,
  })
  own.model_id = ModelId.parse(await uploaded.json()).model_id
})
afterAll(async () => {
  expect(faults(platform)).toEqual([])
  await platform.stop()
  await platform.remove()
})

/** The answer without what must differ: the id asked for and the request's own. */
const faceless = ({ status, body }: Answer, ids: Record<string, string>): unknown => {
  let text = JSON.stringify(body).replace(/"request_id":"[^"]+"/g, '"request_id":"REQUEST"')
  for (const [name, id] of Object.entries(ids)) text = text.replaceAll(id, name)
  return { status, body: JSON.parse(text) }
}

const rows = routeRows.filter((row) => variables(row.path).length > 0 && row.role !== 'signed_url')

describe('an id of another organisation', () => {
  it('is asked for on every route that has one', () => {
    expect(new Set(rows.flatMap((row) => variables(row.path)))).toEqual(new Set(Object.keys(owned)))
  })
  it.each(
    rows.map((row) => [row.method, row.path, row.id] as const),
  )('%s %s answers as for an unknown one', async (method, path, id: RouteId) => {
    const foreign = await stranger.call(method, fill(path, owned), plainBodies[id])
    const missing = await stranger.call(method, fill(path, unknown), plainBodies[id])
    expect(foreign.status, JSON.stringify(foreign.body)).toBe(404)
    expect(faceless(foreign, owned)).toEqual(faceless(missing, unknown))
    expect([...foreign.headers.keys()].sort()).toEqual([...missing.headers.keys()].sort())
  })
  it('below an id of one’s own is unknown too', async () => {
    const answer = await stranger.call('GET', `/models/${own.model_id}/optimized/${owned.optimized_id}`)
    expect(answer.status).toBe(404)
  })
  it.each(['original', 'optimized'])('cannot be deployed as %s model', async (model_type) => {
    const model = model_type === 'original' ? 'model_id' : 'optimized_id'
    const body = { name: 'd', model_type, deployment_type: 'serverless' }
    const foreign = await stranger.call('POST', '/deployments', { ...body, model_id: owned[model] })
    const missing = await stranger.call('POST', '/deployments', { ...body, model_id: unknown[model] })
    expect(foreign.status).toBeGreaterThanOrEqual(400)
    expect(foreign.status).toBeLessThan(500)
    expect(faceless(foreign, { model_id: owned[model] ?? '' })).toEqual(faceless(missing, { model_id: unknown[model] ?? '' }))
  })
  it('is untouched after all of that', async () => {
    const get = async (path: string): Promise<number> => (await platform.call('GET', path)).status
    expect(await get(`/models/${owned.model_id}`)).toBe(200)
    expect(await get(`/models/${owned.model_id}/optimized/${owned.optimized_id}`)).toBe(200)
    expect(await platform.call('GET', `/deployments/${owned.deployment_id}`)).toMatchObject({
      status: 200,
      body: { status: 'active', revision: 1 },
    })
    expect(
      z
        .array(Id)
        .parse((await platform.call('GET', '/users')).body)
        .map(({ id }) => id),
    ).toContain(owned.user_id)
    expect(
      z
        .array(Id)
        .parse((await platform.call('GET', '/api-keys')).body)
        .map(({ id }) => id),
    ).toContain(owned.key_id)
    expect(await get(`/datasets/${owned.dataset_id}`)).toBe(200)
    expect(await get(`/reports/schedules/${owned.schedule_id}`)).toBe(200)
  })
})

describe('what a stranger sees', () => {
  it.each(
    routeRows
      .filter((row) => row.method === 'GET' && variables(row.path).length === 0 && row.role !== 'anonymous')
      .map(({ path }) => [path] as const),
  )('GET %s names nothing of the other organisation', async (path) => {
    const { status, body } = await stranger.call('GET', path)
    expect(status).toBe(200)
    const text = JSON.stringify(body)
    for (const id of Object.values(owned).filter((value) => /_[0-9a-f]{32}$/.test(value))) expect(text).not.toContain(id)
    expect(text).not.toContain('colleague')
  })
  it('only operators make organisations', async () => {
    const answer = await stranger.call('POST', '/organizations', plainBodies['create-organization'])
    expect(answer.status).toBe(403)
  })
})
