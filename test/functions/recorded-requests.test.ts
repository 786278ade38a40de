import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { denseModel } from '../support/models.ts'
import { eventually, faults, type Platform, startPlatform } from '../support/platform.ts'
import { echoDeployment, ModelId } from '../support/tenants.ts'

/** Recorded requests over HTTP: said yes to, kept, used and forgotten. */

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(async () => {
  expect(faults(platform)).toEqual([])
  await platform.stop()
  await platform.remove()
})

const kept = (): string[] => {
  const folder = join(platform.home, 'artifacts')
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.rows'))
}
const predict = (id: string) => platform.call('POST', `/deployments/${id}/inference`, { inputs: [[1, 2, 3, 4]] })
const Shown = z.object({ record_requests: z.object({ rows: z.number() }).nullable() })
const shown = async (id: string) => Shown.parse((await platform.call('GET', `/deployments/${id}`)).body).record_requests
const gone = () =>
  eventually(
    async () => kept(),
    (files) => files.length === 0,
  )

describe('a deployment that is told to keep a sample of its requests', () => {
  it('keeps inputs when it goes to sleep, and forgets them when it is told to keep none', async () => {
    const { deployment_id } = await echoDeployment(platform, { record_requests: { rows: 8 } })
    expect(await shown(deployment_id)).toEqual({ rows: 8 })
    expect((await predict(deployment_id)).status).toBe(200)
    expect((await platform.call('POST', `/deployments/${deployment_id}/hibernate`)).status).toBe(200)
    expect(kept()).toEqual([expect.stringMatching(new RegExp(`samples[+]/[^/]+/${deployment_id}`))])
    expect((await platform.call('PUT', `/deployments/${deployment_id}`, { record_requests: null })).status).toBe(200)
    expect(await gone()).toEqual([])
    expect(await shown(deployment_id)).toBeNull()
  })
  it('leaves none when it is deleted', async () => {
    const { deployment_id } = await echoDeployment(platform, { record_requests: { rows: 8, rate: 1 } })
    await predict(deployment_id)
    await platform.call('POST', `/deployments/${deployment_id}/hibernate`)
    expect(kept()).toHaveLength(1)
    expect((await platform.call('DELETE', `/deployments/${deployment_id}`)).status).toBe(200)
    expect(await gone()).toEqual([])
  })
  it('gives them to an optimisation; one that keeps none says so', async () => {
    const { deployment_id } = await echoDeployment(platform, { record_requests: { rows: 8 } })
    const uploaded = await platform.upload('dense.onnx', denseModel([4, 64, 64, 4]), { name: 'dense' })
    const { model_id } = ModelId.parse(uploaded.body)
    const optimize = (id: string) =>
      platform.call('POST', `/models/${model_id}/optimize`, { method: 'quantization', calibration_data: { deployment_id: id } })
    expect(await optimize(deployment_id)).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('has kept no request yet') },
    })
    await predict(deployment_id)
    await platform.call('POST', `/deployments/${deployment_id}/hibernate`)
    expect(await optimize(deployment_id)).toMatchObject({ status: 200, body: { status: 'optimizing' } })
    const silent = await echoDeployment(platform)
    expect(await optimize(silent.deployment_id)).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('keeps none') },
    })
  })
  it.each([
    [{ rows: 0 }, '/record_requests/rows'],
    [{ rows: 2000 }, '/record_requests/rows'],
    [{ rows: 8, rate: 2 }, '/record_requests/rate'],
  ])('%o is refused', async (record_requests, pointer) => {
    const answer = await platform.call('POST', '/deployments', {
      ...{ name: 'd', model_id: 'mod_x', deployment_type: 'serverless' },
      record_requests,
    })
    expect(answer).toMatchObject({ status: 422, body: { errors: [{ pointer }] } })
  })
})
