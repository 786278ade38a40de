import { describe, expect, it } from 'vitest'
import { flushAtEnd } from '../../../functions/entry/flush-at-end.ts'
import { usageMeter } from '../../../layers/core/usecases/meter-usage.ts'
import { snapshotPrices } from '../../../layers/pricing/snapshot.ts'
import { clockAt, listeningLog, sampleAt, scratchRecords } from '../../support/usage.ts'

const house = () => {
  const clock = clockAt('2026-11-20T10:00:01.000Z')
  const records = scratchRecords(clock.now)
  let writes = 0
  const counted = {
    ...records,
    write: (operations: Parameters<typeof records.write>[0]) => {
      writes += 1
      return records.write(operations)
    },
  }
  const meter = usageMeter({ records: counted, prices: snapshotPrices(), now: clock.now, log: listeningLog() })
  const end = flushAtEnd({ meter, now: clock.now })
  /** One invocation that ends now, `calls` inferences long. */
  const invoke = async (calls = 1) => {
    for (let n = 0; n < calls; n += 1) meter.record(sampleAt(clock.now().getTime()))
    await end()
  }
  const written = async () =>
    (await records.query({ pk: 'usage#dep_1', from: 'minute#', to: 'minute#~', limit: 1000 })).items.reduce(
      (sum, { body }) => sum + Number(body.requests),
      0,
    )
  return { clock, invoke, written, writes: () => writes }
}

describe('metering in a process that freezes', () => {
  it('is written after every invocation where less than one a second comes', async () => {
    const { clock, invoke, written } = house()
    for (let n = 1; n <= 5; n += 1) {
      await invoke()
      expect(await written()).toBe(n)
      clock.advance(1_000 + n)
    }
  })

  it('is written once in five seconds under load, and all of it when the load ends', async () => {
    const { clock, invoke, written, writes } = house()
    for (let n = 0; n < 300; n += 1) {
      await invoke()
      clock.advance(100)
    }
    expect(writes()).toBeLessThanOrEqual(7)
    expect(await written()).toBeGreaterThan(300 - 50)
    clock.advance(2_000)
    await invoke()
    expect(await written()).toBe(301)
  })

  it('writes nothing where nothing was metered', async () => {
    const { clock, invoke, writes } = house()
    await invoke(0)
    clock.advance(10_000)
    await invoke(0)
    expect(writes()).toBe(0)
  })
})
