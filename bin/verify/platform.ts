import * as z from 'zod'
import { until, wanted } from './client.ts'
import type { Facts } from './facts.ts'
import { known } from './facts.ts'
import { type Check, Skipped } from './run.ts'

const Traffic = z.looseObject({ total_requests: z.number() })
const traffic = async ({ client, as }: Facts): Promise<number> =>
  wanted(await client.call('GET', '/analytics/performance', { as }), 200, Traffic).total_requests

export const accessChecks: readonly Check<Facts>[] = [
  {
    id: 'health',
    title: 'is healthy',
    run: async ({ client }) => {
      const { status, version } = wanted(
        await client.call('GET', '/health'),
        200,
        z.looseObject({ status: z.string(), version: z.string() }),
      )
      if (status !== 'ok') throw new Error(`health says ${status}`)
      return `version ${version}`
    },
  },
  {
    id: 'refuses',
    title: 'refuses a caller without a token, as a problem document',
    run: async ({ client }) => {
      const answer = await client.call('GET', '/models')
      wanted(answer, 401, z.looseObject({ code: z.string(), request_id: z.string() }))
      return answer.headers.get('content-type') ?? ''
    },
  },
  {
    id: 'sign-in',
    title: 'signs in',
    run: async (facts) => {
      const { client, username, password } = facts
      const { token } = wanted(
        await client.call('POST', '/auth/token', { body: { username, password } }),
        200,
        z.object({ token: z.string() }),
      )
      facts.as = { token }
      const me = wanted(await client.call('GET', '/auth/me', { as: facts.as }), 200, z.looseObject({ role: z.string() }))
      facts.requests_before = await traffic(facts)
      return `${username}, ${me.role}`
    },
  },
  {
    id: 'key',
    title: 'makes an API key that works at once',
    after: ['sign-in'],
    run: async (facts) => {
      const { client, as } = facts
      const body = { name: 'verify', role: 'viewer' }
      const made = wanted(
        await client.call('POST', '/api-keys', { as, body }),
        200,
        z.looseObject({ id: z.string(), api_key: z.string() }),
      )
      facts.key = { id: made.id, as: { key: made.api_key } }
      wanted(await client.call('GET', '/auth/me', { as: facts.key.as }), 200, z.unknown())
      return made.id
    },
  },
]

export const accountChecks: readonly Check<Facts>[] = [
  {
    id: 'metering',
    title: 'counts the calls above',
    after: ['predict-endpoint'],
    run: async (facts) => {
      const before = known(facts, 'requests_before')
      const seen = await until(
        () => traffic(facts),
        (now) => now - before >= facts.requests_made,
        180,
      )
      return `${seen - before} requests, ${facts.requests_made} made`
    },
  },
  {
    id: 'cost',
    title: 'says what they cost, on what basis',
    after: ['metering'],
    run: async ({ client, as }) => {
      const cost = wanted(
        await client.call('GET', '/analytics/cost', { as }),
        200,
        z.looseObject({ total_cost: z.number(), basis: z.looseObject({ total_cost: z.string() }) }),
      )
      return `$${cost.total_cost} today; ${cost.basis.total_cost.slice(0, 100)}`
    },
  },
  {
    id: 'report',
    title: 'writes the cost report',
    after: ['sign-in'],
    run: async ({ client, as }) => {
      const answer = await client.call('POST', '/reports/preview', { as, body: { period: 'weekly' } })
      const { subject } = wanted(
        answer,
        200,
        z.looseObject({ subject: z.string(), html: z.string().min(1), text: z.string().min(1), csv: z.string().min(1) }),
      )
      return subject
    },
  },
  {
    id: 'audit',
    title: 'keeps who did what',
    after: ['upload'],
    run: async ({ client, as, patience_s }) => {
      const Page = z.looseObject({ items: z.array(z.looseObject({ type: z.string() })) })
      const page = async () => {
        const answer = await client.call('GET', '/audit?page_size=100', { as })
        if (answer.status === 404) throw new Skipped('this version has no audit log')
        return wanted(answer, 200, Page)
      }
      const { items } = await until(page, (seen) => seen.items.length > 0, Math.min(120, patience_s))
      return `${items.length} events, the newest ${items[0]?.type}`
    },
  },
]
