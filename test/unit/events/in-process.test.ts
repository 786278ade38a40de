import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { PlatformEvent } from '../../../layers/core/contract/events.ts'
import { inProcessEvents } from '../../../layers/events/in-process.ts'
import { sqliteRecords } from '../../../layers/records/sqlite.ts'
import { keptLog, scratchFolder, tickingClock } from '../../support/identity.ts'

const event = (n: number): PlatformEvent => ({
  id: `evt_${n}`,
  type: 'model.created',
  organization_id: 'org_1',
  timestamp: '2026-11-21T12:00:00.000Z',
  data: { n },
})
const numbered = (from: number, count: number) => Array.from({ length: count }, (_, at) => event(from + at))

const house = (retry_ms?: number[], now?: () => Date) => {
  const path = join(scratchFolder(), 'records.sqlite')
  const clock = { ...tickingClock(), ...(now && { now }) }
  const log = keptLog()
  let records = sqliteRecords({ path, now: clock.now })
  onTestFinished(() => records.close())
  return {
    clock,
    log,
    events: inProcessEvents({ records, log, now: clock.now, retry_ms }),
    restart: () => {
      records.close()
      records = sqliteRecords({ path, now: clock.now })
      return inProcessEvents({ records, log, now: clock.now, retry_ms })
    },
  }
}

describe('in-process events', () => {
  it('reach every subscriber in order, published singly, in bulk and at once', async () => {
    const { events } = house()
    const seen: Record<string, string[]> = { audit: [], webhooks: [] }
    for (const name of ['audit', 'webhooks']) events.subscribe(name, async ({ id }) => void seen[name]?.push(id))
    events.start()
    await events.publish(numbered(0, 60))
    await Promise.all([events.publish([event(60)]), events.publish(numbered(61, 3)), events.publish([event(64)])])
    await events.drain()
    const wanted = numbered(0, 65).map(({ id }) => id)
    expect(seen).toEqual({ audit: wanted, webhooks: wanted })
    await events.stop()
  })

  it('are delivered without anybody draining, also when published while a delivery ends', async () => {
    const { events } = house()
    const seen: string[] = []
    events.subscribe('audit', async ({ id }) => void seen.push(id))
    events.start()
    for (let n = 0; n < 50; n += 1) await events.publish([event(n)])
    await vi.waitFor(() => expect(seen).toHaveLength(50))
    expect(seen).toEqual(numbered(0, 50).map(({ id }) => id))
    await events.stop()
  })

  it('survive a restart: what was not delivered comes first, what was delivered does not come again', async () => {
    const { events, restart } = house()
    const before: string[] = []
    events.subscribe('audit', async ({ id }) => void before.push(id))
    await events.publish(numbered(0, 2))
    await events.drain()
    await events.stop()
    await events.publish(numbered(2, 3))
    const after: string[] = []
    const again = restart()
    again.subscribe('audit', async ({ id }) => void after.push(id))
    again.start()
    await again.publish([event(5)])
    await again.drain()
    expect(before).toEqual(['evt_0', 'evt_1'])
    expect(after).toEqual(['evt_2', 'evt_3', 'evt_4', 'evt_5'])
    await again.stop()
  })

  it('keep their order when the clock goes back', async () => {
    const { events, clock, restart } = house()
    await events.publish([event(0)])
    clock.advance(-3600)
    await events.publish([event(1)])
    const again = restart()
    await again.publish([event(2)])
    const seen: string[] = []
    again.subscribe('audit', async ({ id }) => void seen.push(id))
    await again.drain()
    expect(seen).toEqual(['evt_0', 'evt_1', 'evt_2'])
  })

  it('wait for a failing subscriber without overtaking, and hold up no other', async () => {
    const { events, clock, restart } = house([1000, 5000])
    const seen: string[] = []
    const other: string[] = []
    let broken = true
    const flaky = async ({ id }: PlatformEvent) => {
      seen.push(id)
      if (broken && id === 'evt_1') throw new Error('not now')
    }
    events.subscribe('flaky', flaky)
    events.subscribe('steady', async ({ id }) => void other.push(id))
    await events.publish(numbered(0, 3))
    await events.drain()
    await events.drain()
    expect(seen).toEqual(['evt_0', 'evt_1'])
    expect(other).toEqual(['evt_0', 'evt_1', 'evt_2'])
    clock.advance(1)
    await events.drain()
    expect(seen).toEqual(['evt_0', 'evt_1', 'evt_1'])
    clock.advance(4)
    const again = restart()
    again.subscribe('flaky', flaky)
    await again.drain()
    expect(seen).toHaveLength(3)
    clock.advance(1)
    broken = false
    await again.drain()
    expect(seen).toEqual(['evt_0', 'evt_1', 'evt_1', 'evt_1', 'evt_2'])
    expect(await again.parked('flaky')).toEqual([])
  })

  it('are parked with the reason after the last attempt, and the rest goes on', async () => {
    const { events, clock, log } = house([1000, 5000])
    const seen: string[] = []
    events.subscribe('poisoned', async ({ id }) => {
      if (id === 'evt_0') throw new Error('cannot read this')
      seen.push(id)
    })
    await events.publish(numbered(0, 2))
    for (const wait of [0, 1, 5]) {
      clock.advance(wait)
      await events.drain()
    }
    expect(seen).toEqual(['evt_1'])
    expect(await events.parked('poisoned')).toEqual([{ event: event(0), attempts: 3, reason: 'cannot read this' }])
    expect(log.lines.filter((line) => line.includes('event parked'))).toHaveLength(1)
  })

  it('retry by themselves once started', async () => {
    const { events } = house([5], () => new Date())
    let tries = 0
    events.subscribe('flaky', async () => {
      tries += 1
      if (tries === 1) throw new Error('not now')
    })
    events.start()
    await events.publish([event(0)])
    await vi.waitFor(() => expect(tries).toBe(2))
    await events.stop()
  })

  it('refuse a second subscriber of one name', () => {
    const { events } = house()
    events.subscribe('audit', async () => {})
    expect(() => events.subscribe('audit', async () => {})).toThrow(/name of its own/)
  })
})
