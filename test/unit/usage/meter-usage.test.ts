import { describe, expect, it } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import { latencyAt } from '../../../layers/core/domain/latency-sketch.ts'
import { gbSeconds, UsageRow } from '../../../layers/core/domain/usage.ts'
import type { Records } from '../../../layers/core/ports/records.ts'
import { usageMeter } from '../../../layers/core/usecases/meter-usage.ts'
import { lastRequestFromRows } from '../../../layers/core/usecases/read-usage.ts'
import { snapshotPrices } from '../../../layers/pricing/snapshot.ts'
import { deploymentOf } from '../../support/fleet.ts'
import { clockAt, listeningLog, sampleAt, scratchRecords } from '../../support/usage.ts'

const prices = snapshotPrices()
const start = '2026-11-20T10:00:00.000Z'

const setUp = (wrap: (records: Records) => Records = (records) => records) => {
  const clock = clockAt(start)
  const records = scratchRecords(clock.now)
  const log = listeningLog()
  const meter = usageMeter({ records: wrap(records), prices, now: clock.now, log })
  const rows = async (deployment = 'dep_1') =>
    (await records.query({ pk: `usage#${deployment}`, from: 'minute#', to: 'minute#~', limit: 1000 })).items.map((item) =>
      UsageRow.parse(item.body),
    )
  return { clock, records, log, meter, rows }
}

describe('usage meter', () => {
  it('writes one row per deployment, minute and revision, with every figure', async () => {
    const { clock, meter, rows } = setUp()
    const at_ms = clock.now().getTime()
    meter.record(sampleAt(at_ms, { cold: true, init_us: 400_000, memory_bytes: 0 }))
    meter.record(sampleAt(at_ms + 20, { error: true, latency_us: 48_000, memory_bytes: 190 * 2 ** 20 }))
    meter.record(sampleAt(at_ms + 30, { revision: 2 }))
    meter.record(sampleAt(at_ms + 61_000, { revision: 2 }))
    await meter.flush()
    const [first, second, third] = await rows()
    expect((await rows()).length).toBe(3)
    expect([first, second, third].map((row) => [row?.start, row?.revisions, row?.requests])).toEqual(
      expect.arrayContaining([
        [start, [1], 2],
        [start, [2], 1],
        ['2026-11-20T10:01:00.000Z', [2], 1],
      ]),
    )
    const row = (await rows()).find((one) => one.requests === 2)
    expect(row).toMatchObject({
      errors: 1,
      cold_starts: 1,
      compute_us: 19_000,
      cpu_us: 18_000,
      init_us: 400_000,
      bytes_in: 6_000,
      bytes_out: 2_000,
    })
    expect(row).toMatchObject({
      memory_samples: 1,
      memory_sum_kib: 190 * 1024,
      memory_peak_bytes: 190 * 2 ** 20,
      memory_limit_bytes: 2 ** 31,
    })
    // 409.5 ms and 9.5 ms round up to 410 + 10 ms at 2,048 MB
    expect(row?.billed_mb_ms).toBe(420 * 2048)
    expect((latencyAt(row?.latency ?? { level: 0, bins: new Map() }, 1) ?? 0) / 48_000).toBeCloseTo(1, 1)
    expect(row?.last_request_at).toBe('2026-11-20T10:00:00.020Z')
  })

  it('prices a row as AWS Lambda arm64 and freezes the price list', async () => {
    const { clock, meter, rows } = setUp()
    meter.record(sampleAt(clock.now().getTime(), { compute_us: 1_000_000, bytes_out: 2 ** 30 }))
    await meter.flush()
    const [row] = await rows()
    expect(gbSeconds(row?.billed_mb_ms ?? 0)).toBe(2)
    expect(row?.cost).toEqual({ compute: 26_667n, requests: 200n, network: 90_000_000n })
    expect(row).toMatchObject({
      price_versions: [prices.version],
      cost_bases: ['AWS Lambda arm64 us-east-1'],
      unpriced: [],
      unpriced_requests: 0,
    })
  })

  it('says that a deployment type has no price instead of calling it free', async () => {
    const { clock, meter, rows } = setUp()
    meter.record(sampleAt(clock.now().getTime(), { deployment_type: 'custom' }))
    await meter.flush()
    expect((await rows())[0]).toMatchObject({
      unpriced: ['no price is known for deployment type custom'],
      unpriced_requests: 1,
      requests: 1,
    })
  })

  it('keeps rows that could not be written and writes each exactly once', async () => {
    let broken = true
    const { clock, meter, rows, log } = setUp((records) => ({
      ...records,
      write: (operations) =>
        broken ? Promise.reject(new PlatformError('unavailable', 'disk is away')) : records.write(operations),
    }))
    for (let minute = 0; minute < 30; minute++) meter.record(sampleAt(clock.now().getTime() + minute * 60_000))
    await meter.flush()
    await meter.flush()
    expect(await rows()).toEqual([])
    expect(log.events).toContain('usage_write_failed')
    broken = false
    meter.record(sampleAt(clock.now().getTime() + 31 * 60_000))
    await meter.flush()
    await meter.flush()
    expect((await rows()).map((row) => row.requests)).toEqual(Array(31).fill(1))
  })

  it('does not count twice when a write worked but its answer was lost', async () => {
    let losesAnswer = true
    const { clock, meter, rows } = setUp((records) => ({
      ...records,
      write: async (operations) => {
        const versions = await records.write(operations)
        if (losesAnswer) throw new PlatformError('unavailable', 'connection reset')
        return versions
      },
    }))
    for (let minute = 0; minute < 20; minute++) meter.record(sampleAt(clock.now().getTime() + minute * 60_000))
    await meter.flush()
    losesAnswer = false
    await meter.flush()
    expect((await rows()).reduce((sum, row) => sum + row.requests, 0)).toBe(20)
  })

  it('takes a sample with impossible figures for a request without them', async () => {
    const { clock, meter, rows, log } = setUp()
    const broken = {
      latency_us: Number.NaN,
      compute_us: -5,
      init_us: Number.POSITIVE_INFINITY,
      memory_bytes: Number.NaN,
      bytes_out: 10.4,
    }
    meter.record(sampleAt(clock.now().getTime(), broken))
    meter.record(sampleAt(clock.now().getTime(), { memory_limit_bytes: Number.NaN }))
    meter.record(sampleAt(clock.now().getTime()))
    await meter.flush()
    expect(log.events).toEqual([])
    expect((await rows()).map((row) => row.requests)).toEqual([1, 1, 1])
    const row = (await rows()).find((one) => one.latency_sum_us === 0)
    expect(row).toMatchObject({ requests: 1, compute_us: 0, init_us: 0, memory_samples: 0, bytes_out: 10 })
  })

  it('knows the last request at once, and from rows in a new process', async () => {
    const { clock, meter, records } = setUp()
    expect(meter.lastRequestAt('dep_1')).toBeUndefined()
    meter.record(sampleAt(clock.now().getTime() + 1_234))
    expect(meter.lastRequestAt('dep_1')?.toISOString()).toBe('2026-11-20T10:00:01.234Z')
    expect(await lastRequestFromRows(records, 'dep_1')).toBeUndefined()
    await meter.flush()
    expect((await lastRequestFromRows(records, 'dep_1'))?.toISOString()).toBe('2026-11-20T10:00:01.234Z')
  })

  it('recovers the last requests of active deployments after a restart', async () => {
    const { clock, meter, records, log } = setUp()
    const ids = ['dep_1', 'dep_quiet', 'dep_asleep']
    for (const id of ids) {
      const body = JSON.parse(JSON.stringify(deploymentOf(id)))
      const active = id === 'dep_asleep' ? {} : { worklist: { pk: 'deployments#active', sk: `2026#${id}` } }
      await records.write([{ put: { pk: 'org#org_1', sk: `deployment#${id}`, body, ...active }, expect: 'absent' }])
    }
    for (const id of ['dep_1', 'dep_asleep']) meter.record(sampleAt(clock.now().getTime(), { deployment_id: id }))
    await meter.flush()
    const restarted = usageMeter({ records, prices, now: clock.now, log })
    await restarted.recover()
    expect(ids.map((id) => restarted.lastRequestAt(id)?.toISOString())).toEqual([start, undefined, undefined])
  })

  it('flushes by itself: 60 requests at most every 5 s, else after a minute', async () => {
    const { clock, meter, rows } = setUp()
    const at_ms = clock.now().getTime()
    for (let n = 0; n < 200; n++) meter.record(sampleAt(at_ms))
    meter.record(sampleAt(at_ms, { deployment_id: 'dep_quiet' }))
    clock.set(at_ms + 5_000)
    await expect.poll(async () => (await rows()).map((row) => row.requests), { timeout: 5_000 }).toEqual([200])
    expect(await rows('dep_quiet')).toEqual([])
    clock.set(at_ms + 60_000)
    await expect.poll(async () => (await rows('dep_quiet')).map((row) => row.requests), { timeout: 5_000 }).toEqual([1])
  })
})
