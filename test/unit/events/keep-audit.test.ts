import { describe, expect, it, onTestFinished } from 'vitest'
import { deliverBatch } from '../../../functions/entry/queue-batch.ts'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import type { PlatformEvent } from '../../../layers/core/contract/events.ts'
import { routes } from '../../../layers/core/contract/routes.ts'
import { isTold, subscribers } from '../../../layers/core/contract/subscribers.ts'
import type { Principal } from '../../../layers/core/domain/principal.ts'
import type { Records } from '../../../layers/core/ports/records.ts'
import { audit_kept_s, keepAudit } from '../../../layers/core/usecases/keep-audit.ts'
import { listAudit } from '../../../layers/core/usecases/list-audit.ts'
import { sqliteRecords } from '../../../layers/records/sqlite.ts'
import { lambdaEvent } from '../../support/event-bridge-emulator.ts'
import { tickingClock } from '../../support/identity.ts'
import { failure } from '../../support/records.ts'

const admin: Principal = { kind: 'user', id: 'usr_1', name: 'ann', organization_id: 'org_1', role: 'admin' }
const start_ms = Date.parse('2026-11-20T10:00:00.000Z')

const event = (n: number, changes: Partial<PlatformEvent> = {}): PlatformEvent => ({
  id: `evt_${n}`,
  type: n % 4 === 0 ? 'deployment.failed' : 'model.created',
  organization_id: 'org_1',
  timestamp: new Date(start_ms + n * 1000).toISOString(),
  data: { n },
  ...changes,
})
const numbered = (count: number) => Array.from({ length: count }, (_, n) => event(n))

const house = (wrap: (records: Records) => Records = (records) => records) => {
  const clock = tickingClock()
  const records = sqliteRecords({ path: ':memory:', now: clock.now })
  onTestFinished(() => records.close())
  const app = { records: wrap(records) }
  const list = (query: Record<string, unknown> = {}, principal = admin) =>
    listAudit(app, principal, routes['list-audit'].query.parse(query))
  return { clock, app, list, keep: (one: PlatformEvent) => keepAudit(app, one) }
}

/** Numbers in [0, 1), the same every time (mulberry32). */
const seeded = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

const idsOf = ({ items }: { items: PlatformEvent[] }) => items.map(({ id }) => id)
const newestFirst = (count: number) =>
  numbered(count)
    .map(({ id }) => id)
    .toReversed()

describe('the audit', () => {
  it.each(Array.from({ length: 100 }, (_, seed) => seed))('loses and doubles nothing, order of arrival %i', async (seed) => {
    const random = seeded(seed)
    const { app, list, keep } = house((records) => ({
      ...records,
      // One write in ten fails, half of those after it was done.
      write: async (operations) => {
        const fate = random()
        if (fate < 0.05) throw new PlatformError('unavailable', 'throttled')
        const versions = await records.write(operations)
        if (fate > 0.95) throw new PlatformError('unavailable', 'the answer was lost')
        return versions
      },
    }))
    const messages = numbered(30).flatMap((one) =>
      Array.from({ length: 1 + Math.floor(random() * 3) }, () => ({ one, at: random() })),
    )
    let waiting = messages
      .toSorted((a, b) => a.at - b.at)
      .map(({ one }, n) => ({ MessageId: `m${n}`, Body: JSON.stringify({ detail: one }) }))
    const log = { info() {}, warn() {}, error() {} }
    for (let round = 0; waiting.length > 0 && round < 50; round += 1) {
      const batch = waiting.slice(0, 10)
      const { batchItemFailures } = await deliverBatch(lambdaEvent(batch), { id: 'keep-audit', run: keep, log })
      const failed = new Set(batchItemFailures.map(({ itemIdentifier }) => itemIdentifier))
      waiting = [...waiting.slice(10), ...batch.filter(({ MessageId }) => failed.has(MessageId))]
    }
    expect(waiting).toEqual([])
    expect(idsOf(await list())).toEqual(newestFirst(30))
    expect((await app.records.query({ pk: 'org#org_1', limit: 1000 })).items).toHaveLength(30)
  })

  it('is read page by page, newest first, of one type and of one time', async () => {
    const { list, keep } = house()
    for (const one of numbered(25)) await keep(one)
    const pages: string[][] = []
    let token = ''
    do {
      const page = await list({ page_size: 10, ...(token && { page_token: token }) })
      pages.push(idsOf(page))
      token = page.next_page_token
    } while (token)
    expect(pages.map(({ length }) => length)).toEqual([10, 10, 5])
    expect(pages.flat()).toEqual(newestFirst(25))
    const failed = await list({ type: 'deployment.failed', page_size: 3 })
    expect(idsOf(failed)).toEqual(['evt_24', 'evt_20', 'evt_16'])
    expect(idsOf(await list({ type: 'deployment.failed', page_size: 3, page_token: failed.next_page_token }))).toEqual([
      'evt_12',
      'evt_8',
      'evt_4',
    ])
    const at = (n: number) => new Date(start_ms + n * 1000).toISOString()
    expect(idsOf(await list({ from: at(3), to: at(6) }))).toEqual(['evt_5', 'evt_4', 'evt_3'])
    expect(idsOf(await list({ from: '2026-11-20T12:00:03+02:00', to: at(5) }))).toEqual(['evt_4', 'evt_3'])
    expect(await list({ from: at(6), to: at(3) })).toEqual({ items: [], next_page_token: '' })
  })

  it('takes a token only for the list it was made for', async () => {
    const { list, keep } = house()
    for (const one of numbered(5)) await keep(one)
    const { next_page_token } = await list({ page_size: 2 })
    await failure('invalid_request', list({ page_size: 2, type: 'model.created', page_token: next_page_token }))
    await failure('invalid_request', list({ page_token: 'nonsense' }))
  })

  it('is of the caller’s organisation alone, and forgets after 400 days', async () => {
    const { clock, list, keep } = house()
    await keep(event(0))
    await keep(event(1, { organization_id: 'org_2' }))
    expect(idsOf(await list())).toEqual(['evt_0'])
    expect(idsOf(await list({}, { ...admin, organization_id: 'org_2' }))).toEqual(['evt_1'])
    clock.advance(audit_kept_s - 2 * 86_400)
    expect(idsOf(await list())).toEqual(['evt_0'])
    clock.advance(2 * 86_400)
    expect(idsOf(await list())).toEqual([])
  })

  it('answers a failure of the records, so that the event comes again', async () => {
    const { keep } = house((records) => ({
      ...records,
      write: () => Promise.reject(new PlatformError('unavailable', 'throttled')),
    }))
    await failure('unavailable', keep(event(0)))
  })
})

describe('the subscriber table', () => {
  it('tells a row of the types it names, or of all', () => {
    expect(isTold(subscribers['keep-audit'], { type: 'model.deleted' })).toBe(true)
    const row = { ...subscribers['keep-audit'], types: ['model.created'] as const }
    expect([isTold(row, { type: 'model.created' }), isTold(row, { type: 'model.deleted' })]).toEqual([true, false])
  })
})
