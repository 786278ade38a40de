import { describe, expect, it } from 'vitest'
import type { Span } from '../../../layers/core/domain/cost-analysis.ts'
import type { MemberCost } from '../../../layers/core/domain/member-cost.ts'
import { dayLines } from '../../../layers/core/domain/report-days.ts'
import { type HibernationRecord, type Sleeper, savingsLedger } from '../../../layers/core/domain/report-savings.ts'
import { sumUsage, type UsageRow } from '../../../layers/core/domain/usage.ts'
import { readUsage } from '../../../layers/core/usecases/read-usage.ts'
import { analyticsApp, deploymentOf } from '../../support/fleet.ts'
import { sampleAt } from '../../support/usage.ts'

const at = (text: string) => Date.parse(`2026-11-${text}:00Z`)
const record = (decided: string, idle_s = 1800, usd: number | null = 1): HibernationRecord => ({
  deployment_id: 'dep_1',
  decided_at: new Date(at(decided)).toISOString(),
  idle_s,
  saves_usd_per_hour: usd,
  basis: 'a price list',
})
const period: Span = { from_ms: at('10T00:00'), to_ms: at('17T00:00') }
const now = new Date(at('20T00:00'))

/** Hour rows of requests at these moments. */
const rowsAt = async (...moments: string[]): Promise<UsageRow[]> => {
  const app = analyticsApp('2026-11-20T00:00:00Z')
  for (const moment of moments) app.meter.record(sampleAt(at(moment)))
  await app.meter.flush()
  return readUsage(app.records, 'dep_1', { from_ms: at('01T00:00'), to_ms: at('20T00:00') }, 'hour', at('20T00:00'))
}
const asleep = { status: 'hibernated', status_since: '2026-11-12T00:00:01.000Z' } as const
const hoursOf = (sleeper: Partial<Sleeper>) =>
  savingsLedger([{ deployment: asleep, records: [record('12T00:00')], rows: [], ...sleeper }], period, now)

describe('what sleeping saved', () => {
  it('lasts until the first hour with a request, the end of the period, or now', async () => {
    expect(hoursOf({})).toMatchObject({
      period: { hours: 120, usd: 120, sleeps: 1 },
      so_far: { hours: 192 },
      since: '2026-11-12T00:00:00.000Z',
    })
    expect(hoursOf({ rows: await rowsAt('11T22:00', '14T06:30', '15T00:00') }).period.hours).toBe(54)
    expect(hoursOf({ rows: await rowsAt('11T23:29') }).period.hours).toBe(120)
  })

  it('counts nothing in which it may have been awake', async () => {
    // Woken in the hour it fell asleep in.
    expect(hoursOf({ records: [record('12T00:10')], rows: await rowsAt('12T00:40') }).so_far.hours).toBe(0)
    // Woken without a request and left idle for half an hour before the next sleep.
    const twice = { records: [record('12T00:00'), record('12T10:00', 3600)] }
    expect(hoursOf(twice).so_far.hours).toBe(9 + 182)
    // Activated by hand.
    expect(hoursOf({ deployment: { status: 'active', status_since: '2026-11-13T00:00:00.000Z' } }).so_far.hours).toBe(24)
    expect(hoursOf({ deployment: { status: 'deleted', status_since: '2026-11-12T06:00:00.000Z' } }).so_far.hours).toBe(6)
    // Gone from the record: nobody knows for how long.
    expect(hoursOf({ deployment: undefined }).so_far.hours).toBe(0)
  })

  it('keeps sleeps without a price apart, and counts those before the period so far only', () => {
    expect(hoursOf({ records: [record('12T00:00', 1, null)] })).toMatchObject({
      unpriced_sleeps: 1,
      period: { usd: 0 },
      so_far: { sleeps: 0 },
    })
    const before = hoursOf({
      records: [record('08T00:00'), record('09T00:00', 3600)],
      deployment: { status: 'active', status_since: '2026-11-09T12:00:00.000Z' },
    })
    expect(before).toMatchObject({ period: { hours: 0, sleeps: 0 }, so_far: { hours: 23 + 12, sleeps: 2 } })
  })
})

describe('the lines of days', () => {
  it('hold what was accrued by the hour on its day, and what usage cost on its own', () => {
    const standing = ['2026-11-18T23:00:00Z', '2026-11-19T00:00:00Z'].map((hour, at) => ({
      ...{ organization_id: 'org_1', deployment_id: 'dep_1', deployment_type: 'serverless', hour },
      ...{ awake_ms: 3_600_000, cost: BigInt(at + 1) * 100n, bases: [], price_version: 'x', unpriced: [] },
    }))
    const lifetime = { from_ms: Date.parse('2026-11-01'), to_ms: Date.parse('2026-11-20') }
    const own = { deployment_id: 'dep_1', deployment_type: 'serverless', name: 'x', deployment: undefined, lifetime }
    const cost: MemberCost = {
      member: { ...own, rows: [], standing, totals: sumUsage([]) },
      compute: 300n,
      storage: 0n,
      network: 0n,
      total: 300n,
    }
    const computeOf = (time_zone: string) =>
      dayLines([cost], { from: '2026-11-18', to: '2026-11-20', time_zone })
        .filter(({ service }) => service === 'compute')
        .map((line) => [line.date, line.cost])
    expect(computeOf('UTC')).toEqual([
      ['2026-11-18', 100n],
      ['2026-11-19', 200n],
    ])
    expect(computeOf('Europe/Berlin')).toEqual([
      ['2026-11-18', 0n],
      ['2026-11-19', 300n],
    ])
  })

  it('sum to the cost of each service, days of 23 and 25 hours included', () => {
    for (const [from, to, time_zone] of [
      ['2026-10-23', '2026-10-27', 'Europe/Berlin'],
      ['2027-03-26', '2027-03-30', 'Europe/Berlin'],
      ['2026-10-03', '2026-10-06', 'Australia/Lord_Howe'],
    ] as const) {
      const lifetime = { from_ms: Date.parse(from), to_ms: Date.parse(to) }
      const deployment = deploymentOf('dep_1', { status: 'hibernated' })
      const member = {
        deployment_id: 'dep_1',
        deployment_type: 'serverless',
        name: 'x',
        deployment,
        lifetime,
        rows: [],
        standing: [],
        totals: sumUsage([]),
      }
      const cost: MemberCost = { member, compute: 1_000_000_007n, storage: 13n, network: 0n, total: 1_000_000_020n }
      const lines = dayLines([cost], { from, to, time_zone })
      const sum = (service: string) => lines.filter((line) => line.service === service).reduce((all, line) => all + line.cost, 0n)
      expect([sum('compute'), sum('storage'), sum('network')]).toEqual([1_000_000_007n, 13n, 0n])
      expect(new Set(lines.map(({ date }) => date)).size).toBe((Date.parse(to) - Date.parse(from)) / 86_400_000)
    }
  })
})
