import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { PlatformEvent } from '../../layers/core/contract/events.ts'
import type { Subscriber } from '../../layers/core/contract/subscribers.ts'
import type { Events } from '../../layers/core/ports/events.ts'
import { keepAudit } from '../../layers/core/usecases/keep-audit.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'

export interface EventsUnderTest {
  events: Events
  /** Until every event is delivered or given up. */
  settle(): Promise<void>
  /** Ids of the events that a subscriber was spared after its fifth failure. */
  parked(subscriber: string): Promise<string[]>
  close(): Promise<void>
}

/** What an implementation does not promise; these tests are left out there, with the reason. */
export interface Difference {
  reason: string
  tests: readonly string[]
}

export const eventOf = (n: number, data: PlatformEvent['data'] = { n }): PlatformEvent => ({
  id: `evt_${n}`,
  type: n % 2 === 0 ? 'model.created' : 'deployment.failed',
  organization_id: 'org_1',
  timestamp: new Date(Date.parse('2026-11-21T12:00:00.000Z') + n).toISOString(),
  data,
})
export const numbered = (count: number): PlatformEvent[] => Array.from({ length: count }, (_, n) => eventOf(n))

/** The contract of the events port. */
export const eventsContract = (
  name: string,
  open: (subscribers: ReadonlyMap<string, Subscriber>) => Promise<EventsUnderTest>,
  differences: readonly Difference[] = [],
): void => {
  describe(`events ${name}`, () => {
    const closers: (() => Promise<void>)[] = []
    beforeEach(({ task, skip }) => {
      const difference = differences.find(({ tests }) => tests.includes(task.name))
      if (difference) skip(difference.reason)
    })
    afterEach(async () => {
      for (const close of closers.splice(0)) await close()
    })
    const house = async (subscribers: Record<string, Subscriber>) => {
      const under = await open(new Map(Object.entries(subscribers)))
      closers.push(under.close)
      return under
    }

    it('reach every subscriber at least once, published singly, in bulk and at once', async () => {
      const seen = { audit: new Set<string>(), webhooks: new Set<string>() }
      const { events, settle } = await house({
        audit: async ({ id }) => void seen.audit.add(id),
        webhooks: async ({ id }) => void seen.webhooks.add(id),
      })
      const all = numbered(11)
      await events.publish([])
      await events.publish(all.slice(0, 1))
      await Promise.all([events.publish(all.slice(1)), events.publish(all.slice(0, 1))])
      await settle()
      const wanted = all.map(({ id }) => id).toSorted()
      expect([...seen.audit].toSorted()).toEqual(wanted)
      expect([...seen.webhooks].toSorted()).toEqual(wanted)
    })

    it('arrive as they were published', async () => {
      const seen: PlatformEvent[] = []
      const { events, settle } = await house({ audit: async (event) => void seen.push(event) })
      const odd = eventOf(1, { name: 'Straße „π“ 😀\n"\\', empty: {}, list: [null, 1.5, ['x']], path: '$.detail' })
      await events.publish([odd])
      await settle()
      expect(seen).toEqual([odd])
    })

    it('keep the order of one publisher', async () => {
      const seen: string[] = []
      const { events, settle } = await house({ audit: async ({ id }) => void seen.push(id) })
      await events.publish(numbered(25))
      await settle()
      expect(seen).toEqual(numbered(25).map(({ id }) => id))
    })

    it('come again to a subscriber that fails, which holds up no other', async () => {
      const seen: string[] = []
      let failures = 3
      const { events, settle, parked } = await house({
        flaky: async () => {
          failures -= 1
          if (failures >= 0) throw new Error('not now')
        },
        steady: async ({ id }) => void seen.push(id),
      })
      await events.publish([eventOf(0)])
      await settle()
      expect(failures).toBe(-1)
      expect(seen).toEqual(['evt_0'])
      expect(await parked('flaky')).toEqual([])
    })

    it('are parked after the fifth failure, and the rest goes on', async () => {
      const tries = new Map<string, number>()
      const { events, settle, parked } = await house({
        poisoned: async ({ id }) => {
          tries.set(id, (tries.get(id) ?? 0) + 1)
          if (id === 'evt_3') throw new Error('cannot read this')
        },
      })
      await events.publish(numbered(4))
      await settle()
      expect([...tries.keys()].toSorted()).toEqual(
        numbered(4)
          .map(({ id }) => id)
          .toSorted(),
      )
      expect(tries.get('evt_3')).toBe(5)
      expect(await parked('poisoned')).toEqual(['evt_3'])
    })

    it('that come again are one entry of the audit', async () => {
      const records = sqliteRecords({ path: ':memory:', now: () => new Date('2026-11-22T00:00:00Z') })
      onTestFinished(() => records.close())
      const { events, settle } = await house({ audit: (event) => keepAudit({ records }, event) })
      for (let round = 0; round < 3; round += 1) await events.publish(numbered(2))
      await settle()
      const { items } = await records.query({ pk: 'org#org_1', limit: 100 })
      expect(items.map(({ body }) => body)).toEqual(numbered(2))
    })
  })
}
