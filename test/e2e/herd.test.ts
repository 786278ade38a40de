import { Agent, request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { eventually, faults, type Platform, startPlatform } from '../support/platform.ts'
import { descendants, seeded } from '../support/processes.ts'
import { echoDeployment, Id, reaches } from '../support/tenants.ts'

/** Many callers at once, and verbs against each other, over HTTP. */

let platform: Platform
let deployment_id = ''
let model_id = ''
beforeAll(async () => {
  platform = await startPlatform()
  const made = await echoDeployment(platform)
  deployment_id = made.deployment_id
  model_id = made.model_id
})
afterAll(async () => {
  expect(faults(platform)).toEqual([])
  await platform.stop()
  await platform.remove()
})

const Settled = z.object({ event: z.literal('deployment_settled'), deployment_id: z.string(), status: z.string() })
/** How often a deployment arrived in a state, by the log. */
const arrivals = (id: string, status: string): number =>
  platform
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .flatMap((line) => Settled.safeParse(JSON.parse(line)).data ?? [])
    .filter((line) => line.deployment_id === id && line.status === status).length

const body = JSON.stringify({ inputs: [[1, 2, 3, 4]] })
const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY })
const post = (token: string): Promise<{ status: number; text: string }> =>
  new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'content-length': body.length }
    const sent = request(
      `${platform.url}/deployments/${deployment_id}/inference`,
      { method: 'POST', agent, headers },
      (reply) => {
        let text = ''
        reply.setEncoding('utf8').on('data', (chunk) => (text += chunk))
        reply.once('end', () => resolve({ status: reply.statusCode ?? 0, text }))
      },
    )
    sent.once('error', reject)
    sent.end(body)
  })

describe('a thousand at once', () => {
  it('wake a sleeping deployment exactly once, and every one is answered', async () => {
    expect((await platform.call('POST', `/deployments/${deployment_id}/hibernate`)).status).toBe(200)
    await reaches(platform, deployment_id, 'hibernated')
    const before = arrivals(deployment_id, 'active')
    const token = await platform.token()
    const answers = await Promise.all(Array.from({ length: 1000 }, () => post(token)))
    const counts: Record<string, number> = {}
    for (const { status, text } of answers)
      counts[status === 200 ? text : `${status} ${text}`] = (counts[`${status} ${text}`] ?? counts[text] ?? 0) + 1
    expect(counts).toEqual({ '{"outputs":[[1,2,3,4]]}': 1000 })
    await eventually(
      async () => arrivals(deployment_id, 'active'),
      (count) => count > before,
      2000,
    )
    expect(arrivals(deployment_id, 'active') - before).toBe(1)
  })

  it('are each metered', async () => {
    const { body: seen } = await platform.call('GET', '/analytics/performance')
    expect(z.object({ total_requests: z.number() }).parse(seen).total_requests).toBe(1000)
  })
})

/** What each verb may answer, whatever state it meets: 409 where it comes too late, 503 with the state where another one overtook it. */
const documented: Record<string, number[]> = {
  hibernate: [200, 202, 404, 409, 503],
  activate: [200, 202, 404, 409, 503],
  stop: [200, 202, 404, 409, 503],
  update: [200, 202, 404, 409, 503],
  infer: [200, 404, 503],
  get: [200, 404],
  delete: [200, 202, 404, 409],
}
const State = z.object({ status: z.string() })

describe('verbs against each other', () => {
  it.each([1, 2, 3])('seed %i: only documented answers, and a state that fits in the end', async (seed) => {
    const random = seeded(seed)
    const made = await platform.call('POST', '/deployments', {
      name: `contested ${seed}`,
      model_id,
      deployment_type: 'serverless',
    })
    const { id } = Id.parse(made.body)
    const calls: Record<string, () => Promise<{ status: number; body: unknown }>> = {
      hibernate: () => platform.call('POST', `/deployments/${id}/hibernate`),
      activate: () => platform.call('POST', `/deployments/${id}/activate`),
      stop: () => platform.call('POST', `/deployments/${id}/stop`),
      update: () => platform.call('PUT', `/deployments/${id}`, { metadata: { turn: Math.floor(random() * 1000) } }),
      infer: () =>
        platform.call('POST', `/deployments/${id}/inference`, { inputs: [[1, 2, 3, 4]] }, { 'x-scale-up-timeout': '5' }),
      get: () => platform.call('GET', `/deployments/${id}`),
      delete: () => platform.call('DELETE', `/deployments/${id}`),
    }
    const verbs = ['hibernate', 'activate', 'infer', 'infer', 'infer', 'get', 'hibernate', 'activate', 'update', 'stop']
    const caller = async (): Promise<void> => {
      for (let turn = 0; turn < 18; turn++) {
        const verb = verbs[Math.floor(random() * verbs.length)] ?? 'get'
        const answer = await calls[verb]?.()
        expect(documented[verb], `${verb}: ${JSON.stringify(answer?.body)}`).toContain(answer?.status)
        if (verb !== 'infer' && answer?.status === 503)
          expect(answer.body).toMatchObject({ code: 'deployment_unavailable', state: expect.stringMatching(/^[a-z]+$/) })
        if (verb === 'infer' && answer?.status === 200) expect(answer.body).toEqual({ outputs: [[1, 2, 3, 4]] })
      }
    }
    await Promise.all(Array.from({ length: 6 }, caller))
    const settled = await eventually(
      () => platform.call('GET', `/deployments/${id}`),
      ({ body: seen }) => /^(active|hibernated|stopped)$/.test(State.parse(seen).status),
    )
    expect(State.parse(settled.body).status).toMatch(/^(active|hibernated|stopped)$/)
    await calls.activate?.()
    await reaches(platform, id, 'active')
    expect((await calls.infer?.())?.status).toBe(200)

    // Deletion in the middle of everything: it wins, and stays.
    const last = await Promise.all(
      ['infer', 'hibernate', 'delete', 'activate', 'infer', 'update', 'delete'].map(
        async (verb) => [verb, (await calls[verb]?.())?.status ?? 0] as const,
      ),
    )
    for (const [verb, status] of last) expect(documented[verb], `${verb} ${status}`).toContain(status)
    const gone = await eventually(
      async () => (await calls.delete?.())?.status,
      (status) => status === 404,
    )
    expect(gone).toBe(404)
    for (const verb of ['get', 'infer', 'activate', 'hibernate', 'update'])
      expect((await calls[verb]?.())?.status, verb).toBe(404)
    const { body: listed } = await platform.call('GET', '/deployments')
    expect(
      z
        .array(Id)
        .parse(listed)
        .map((one) => one.id),
    ).not.toContain(id)
  })

  it('leave no model process when every deployment is gone', async () => {
    const at_rest = 2
    const { body: listed } = await platform.call('GET', '/deployments')
    for (const { id } of z.array(Id).parse(listed)) await platform.call('DELETE', `/deployments/${id}`)
    const left = await eventually(
      async () => descendants(platform.process.pid ?? 0),
      (list) => list.length <= at_rest,
      10_000,
    )
    expect(left.length, JSON.stringify(left)).toBeLessThanOrEqual(at_rest)
  })
})
