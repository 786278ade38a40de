import { describe, expect, it } from 'vitest'
import type { Price } from '../../../layers/core/domain/price.ts'
import type { PriceSource } from '../../../layers/core/ports/price-source.ts'
import { priceCatalogue } from '../../../layers/pricing/price-catalogue.ts'
import { snapshotPrices } from '../../../layers/pricing/snapshot.ts'
import { clockAt, listeningLog, scratchRecords } from '../../support/usage.ts'

const price = (sku: string, usd_per_unit: number, changes: Partial<Price> = {}): Price => ({
  sku,
  region: 'us-east-1',
  unit: 'hour',
  usd_per_unit,
  from_quantity: 0,
  source: 'https://example.com/prices',
  effective_date: '2026-11-21',
  fetched_at: '2026-11-21T00:00:00Z',
  ...changes,
})
const source = (prices: Price[], breaks = false): PriceSource => ({
  name: 'test-list',
  every_hours: 24,
  async *prices() {
    yield* prices
    if (breaks) throw new Error('connection reset')
  },
})
const m5 = 'aws/sagemaker/real-time/ml.m5.large/hour'

const setUp = () => {
  const clock = clockAt('2026-11-21T00:00:00Z')
  const records = scratchRecords(clock.now)
  const log = listeningLog()
  const make = () => priceCatalogue({ records, log, now: clock.now, base: snapshotPrices() })
  return { make, log }
}

describe('price catalogue', () => {
  it('starts as the snapshot and takes good prices under a new version', async () => {
    const { make } = setUp()
    const catalogue = make()
    const before = catalogue.book.version
    expect(catalogue.book.tiers(m5)[0]?.usd_per_unit).toBe(0.115)
    expect(await catalogue.refresh(source([price(m5, 0.12), price('aws/new', 3)]))).toEqual({ accepted: 2, held: 0 })
    expect(catalogue.book.tiers(m5)[0]?.usd_per_unit).toBe(0.12)
    expect(catalogue.book.tiers('aws/new')[0]?.usd_per_unit).toBe(3)
    expect(catalogue.book.tiers('aws/lambda/request')[0]?.usd_per_unit).toBe(2e-7)
    expect(catalogue.book.version).not.toBe(before)
  })

  it('holds back zero and jumps, keeps the last good price, and lets go when told', async () => {
    const { make, log } = setUp()
    const catalogue = make()
    expect(await catalogue.refresh(source([price(m5, 11.5), price('aws/lambda/request', 0, { unit: 'request' })]))).toEqual({
      accepted: 0,
      held: 2,
    })
    expect(catalogue.book.tiers(m5)[0]?.usd_per_unit).toBe(0.115)
    expect(catalogue.book.version).toBe(snapshotPrices().version)
    expect(log.events).toEqual(['price_held_back', 'price_held_back'])
    expect((await catalogue.held()).map((held) => held.prices[0]?.sku).sort()).toEqual(['aws/lambda/request', m5])
    expect(await catalogue.release(m5, 'us-east-1')).toBe(true)
    expect(catalogue.book.tiers(m5)[0]?.usd_per_unit).toBe(11.5)
    expect((await catalogue.held()).length).toBe(1)
    expect(await catalogue.release(m5, 'us-east-1')).toBe(false)
  })

  it('keeps everything when a source fails half-way, and remembers over a restart', async () => {
    const { make, log } = setUp()
    const catalogue = make()
    await catalogue.refresh(source([price(m5, 0.12)]))
    expect(await catalogue.refresh(source([price(m5, 0.13)], true))).toEqual({ accepted: 0, held: 0 })
    expect(log.events).toEqual(['price_source_failed'])
    const restarted = make()
    await restarted.load()
    expect(restarted.book.tiers(m5)[0]?.usd_per_unit).toBe(0.12)
    expect(restarted.book.version).toBe(catalogue.book.version)
  })
})
