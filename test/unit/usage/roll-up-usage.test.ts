import { describe, expect, it } from 'vitest'
import { sketchCount } from '../../../layers/core/domain/latency-sketch.ts'
import { costTotal } from '../../../layers/core/domain/money.ts'
import { grain_ms, type InferenceSample, sumUsage, UsageRow } from '../../../layers/core/domain/usage.ts'
import { usageMeter } from '../../../layers/core/usecases/meter-usage.ts'
import { lastRequestFromRows, readUsage, snapWindow, type TimeWindow } from '../../../layers/core/usecases/read-usage.ts'
import { rollUpUsage } from '../../../layers/core/usecases/roll-up-usage.ts'
import { snapshotPrices } from '../../../layers/pricing/snapshot.ts'
import { clockAt, listeningLog, sampleAt, scratchRecords, seededRandom } from '../../support/usage.ts'

const prices = snapshotPrices()
const hour = grain_ms.hour
const day = grain_ms.day

const setUp = (at = '2026-11-10T00:00:00.000Z') => {
  const clock = clockAt(at)
  const records = scratchRecords(clock.now)
  const log = listeningLog()
  return { clock, records, log, now: clock.now, meter: usageMeter({ records, prices, now: clock.now, log }) }
}

const tally = (samples: readonly InferenceSample[]) => ({
  requests: samples.length,
  errors: samples.filter((sample) => sample.error).length,
  bytes_out: samples.reduce((sum, sample) => sum + sample.bytes_out, 0),
  latency_sum_us: samples.reduce((sum, sample) => sum + sample.latency_us, 0),
})

describe('roll-up', () => {
  it('keeps the sum over any window equal to the samples in it, before, between and after roll-ups', async () => {
    const { clock, records, log, now, meter } = setUp()
    const random = seededRandom(7)
    const samples: InferenceSample[] = []
    const from_ms = clock.now().getTime()
    const check = async (window: TimeWindow) => {
      const snapped = snapWindow(window, now().getTime())
      const inside = samples.filter((sample) => sample.at_ms >= snapped.from_ms && sample.at_ms < snapped.to_ms)
      for (const grain of ['hour', 'day'] as const) {
        const sums = sumUsage(await readUsage(records, 'dep_1', window, grain, now().getTime()))
        expect(sums).toMatchObject(tally(inside))
        expect(sketchCount(sums.latency)).toBe(inside.length)
      }
    }
    for (let at_ms = from_ms; at_ms < from_ms + 5 * day; ) {
      at_ms += Math.floor(random() * random() * 3 * hour)
      clock.set(at_ms)
      for (let burst = 0; burst < 1 + random() * 4; burst++) {
        const sample = sampleAt(at_ms, {
          latency_us: Math.floor(random() * 1e6),
          error: random() < 0.1,
          bytes_out: Math.floor(random() * 1e5),
          revision: random() < 0.9 ? 1 : 2,
        })
        samples.push(sample)
        meter.record(sample)
      }
      if (random() < 0.3) await rollUpUsage({ records, log, now })
      if (random() < 0.15) {
        await meter.flush()
        const a = from_ms + random() * (at_ms - from_ms)
        await check({ from_ms: a, to_ms: a + random() * (at_ms - a) })
        await check({ from_ms, to_ms: at_ms })
      }
    }
    await meter.flush()
    clock.advance(2 * hour)
    expect((await rollUpUsage({ records, log, now })).failed).toBe(0)
    await check({ from_ms, to_ms: now().getTime() })
    await check({ from_ms: from_ms + 90 * 60_000, to_ms: from_ms + 3 * day + 17 * 60_000 })
    expect(samples.length).toBeGreaterThan(200)
    expect(log.events).toEqual([])
  })

  it('is harmless to repeat, and takes in a row that comes late', async () => {
    const { clock, records, log, now, meter } = setUp()
    const early_ms = now().getTime()
    meter.record(sampleAt(early_ms + 60_000))
    await meter.flush()
    clock.advance(3 * hour)
    expect(await rollUpUsage({ records, log, now })).toEqual({ hours: 1, failed: 0 })
    expect(await rollUpUsage({ records, log, now })).toEqual({ hours: 0, failed: 0 })
    meter.record(sampleAt(early_ms + 120_000))
    await meter.flush()
    const window = { from_ms: early_ms, to_ms: early_ms + day }
    clock.advance(2 * day)
    const requests = async () => sumUsage(await readUsage(records, 'dep_1', window, 'day', now().getTime())).requests
    expect(await requests()).toBe(2)
    expect(await rollUpUsage({ records, log, now })).toEqual({ hours: 1, failed: 0 })
    expect(await requests()).toBe(2)
    const month = await records.get({ pk: 'usage-month#org_1', sk: '2026-11' })
    expect(month?.body).toMatchObject({ billed_mb_ms: 2 * 10 * 2048, bytes_out: 2_000 })
  })

  it('lets minutes go after a week and hours after 400 days, and keeps days', async () => {
    const { clock, records, log, now, meter } = setUp()
    const from_ms = now().getTime()
    for (let n = 0; n < 48; n++) meter.record(sampleAt(from_ms + n * hour))
    await meter.flush()
    clock.advance(2 * day + 2 * hour)
    await rollUpUsage({ records, log, now })
    const count = async (grain: string) =>
      (await records.query({ pk: 'usage#dep_1', from: `${grain}#`, to: `${grain}#~`, limit: 1000 })).items.length
    expect([await count('minute'), await count('hour'), await count('day')]).toEqual([48, 48, 2])
    clock.advance(8 * day)
    const window = { from_ms: from_ms + 5 * hour + 10 * 60_000, to_ms: from_ms + 2 * day }
    expect([await count('minute'), await count('hour'), await count('day')]).toEqual([0, 48, 2])
    expect(sumUsage(await readUsage(records, 'dep_1', window, 'day', now().getTime())).requests).toBe(43)
    clock.advance(401 * day)
    expect([await count('minute'), await count('hour'), await count('day')]).toEqual([0, 0, 2])
    expect(sumUsage(await readUsage(records, 'dep_1', window, 'hour', now().getTime())).requests).toBe(48)
  })

  it('leaves a damaged hour marked, reports it, and goes on with the others', async () => {
    const { clock, records, log, now, meter } = setUp()
    meter.record(sampleAt(now().getTime(), { deployment_id: 'dep_a' }))
    meter.record(sampleAt(now().getTime(), { deployment_id: 'dep_b' }))
    await meter.flush()
    const [damaged] = (await records.query({ pk: 'usage#dep_a', from: 'minute#', to: 'minute#~' })).items
    await records.write([{ put: { pk: 'usage#dep_a', sk: damaged?.sk ?? '', body: { broken: true } }, expect: 'any' }])
    clock.advance(2 * hour)
    expect(await rollUpUsage({ records, log, now })).toEqual({ hours: 1, failed: 1 })
    expect(log.events).toEqual(['roll_up_failed'])
    expect(
      (await records.query({ index: 'worklist', pk: 'usage#open-hours' })).items.map((item) => item.body.deployment_id),
    ).toEqual(['dep_a'])
  })

  it('adds costs up exactly', async () => {
    const { clock, records, log, now, meter } = setUp()
    const from_ms = now().getTime()
    for (let n = 0; n < 500; n++) meter.record(sampleAt(from_ms + n * 97_000, { compute_us: n * 331 }))
    await meter.flush()
    const minutes = (await records.query({ pk: 'usage#dep_1', from: 'minute#', to: 'minute#~', limit: 1000 })).items.map((item) =>
      UsageRow.parse(item.body),
    )
    const truth = minutes.reduce((sum, row) => sum + costTotal(row.cost), 0n)
    expect(truth).toBeGreaterThan(0n)
    clock.advance(2 * day)
    await rollUpUsage({ records, log, now })
    const rows = await readUsage(records, 'dep_1', { from_ms, to_ms: from_ms + 2 * day }, 'day', now().getTime())
    expect(costTotal(sumUsage(rows).cost)).toBe(truth)
  })
  it('leaves known when a deployment last had a request, long after its minutes are gone', async () => {
    const { clock, records, log, now, meter } = setUp()
    const at_ms = clock.now().getTime() + 1_234
    meter.record(sampleAt(at_ms))
    await meter.flush()
    clock.advance(2 * hour)
    await rollUpUsage({ records, log, now })
    for (const days of [6, 8, 300, 401]) {
      clock.set(at_ms + days * day)
      expect((await lastRequestFromRows(records, 'dep_1'))?.getTime(), `${days} days later`).toBe(at_ms)
    }
  })
})
