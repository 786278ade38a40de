import { describe, expect, it } from 'vitest'
import type { Price } from '../../../layers/core/domain/price.ts'
import type { PriceSource } from '../../../layers/core/ports/price-source.ts'
import type { Operation, Records } from '../../../layers/core/ports/records.ts'
import { listPrices } from '../../../layers/core/usecases/list-prices.ts'
import { putOrganization } from '../../../layers/core/usecases/organization-records.ts'
import { refreshPrices } from '../../../layers/core/usecases/refresh-prices.ts'
import { releasePrices } from '../../../layers/core/usecases/release-prices.ts'
import { priceCatalogue } from '../../../layers/pricing/price-catalogue.ts'
import { snapshotPrices } from '../../../layers/pricing/snapshot.ts'
import { viewer } from '../../support/fleet.ts'
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
  const make = (over: Records = records) => priceCatalogue({ records: over, log, now: clock.now, base: snapshotPrices() })
  return { make, log, clock, records }
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

  const skus = Array.from({ length: 950 }, (_, n) => `aws/sagemaker/real-time/ml.x${n}.large/hour`)
  const listAt = (usd: number) => source(skus.map((sku) => price(sku, usd)))

  it('puts a list in force whole or not at all, wherever it dies', async () => {
    for (let dies_after = 0; dies_after < 6; dies_after++) {
      const { make, records } = setUp()
      await make().refresh(listAt(1))
      let writes = 0
      const mortal: Records = {
        ...records,
        write: (operations: Operation[]) =>
          writes++ < dies_after ? records.write(operations) : Promise.reject(new Error('killed')),
      }
      await make(mortal)
        .refresh(listAt(1.2))
        .catch(() => undefined)
      const next = make()
      await next.load()
      const seen = new Set(skus.map((sku) => next.book.tiers(sku)[0]?.usd_per_unit))
      expect(seen.size).toBe(1)
      await next.refresh(listAt(1.3))
      expect(new Set(skus.map((sku) => next.book.tiers(sku)[0]?.usd_per_unit))).toEqual(new Set([1.3]))
      const left = await records.query({ pk: 'price-catalogue', from: 'list#', to: 'list#~' })
      expect(left.items).toHaveLength(3)
    }
  })

  it('survives two refreshes at once: one list is in force, whole', async () => {
    const { make } = setUp()
    await make().refresh(listAt(1))
    await Promise.allSettled([make().refresh(listAt(1.1)), make().refresh(listAt(1.2)), make().refresh(listAt(1.3))])
    const after = make()
    await after.load()
    expect(new Set(skus.map((sku) => after.book.tiers(sku)[0]?.usd_per_unit)).size).toBe(1)
  })

  it('reaches other processes within an hour, and an unreadable list leaves the one in force', async () => {
    const { make, clock, records, log } = setUp()
    let broken = false
    const reader = make({ ...records, query: (query) => (broken ? Promise.reject(new Error('down')) : records.query(query)) })
    await reader.book.load?.()
    await make().refresh(source([price(m5, 0.12)]))
    await reader.book.load?.()
    expect(reader.book.tiers(m5)[0]?.usd_per_unit).toBe(0.115)
    clock.advance(3_600_000)
    broken = true
    await reader.book.load?.()
    expect(reader.book.tiers(m5)[0]?.usd_per_unit).toBe(0.115)
    expect(log.events).toContain('prices_not_loaded')
    broken = false
    await reader.book.load?.()
    expect(reader.book.tiers(m5)[0]?.usd_per_unit).toBe(0.12)
  })

  it('keeps its version while no price changes, and its default region whatever another list brings', async () => {
    const { make, clock } = setUp()
    const catalogue = make()
    await catalogue.refresh(source([price(m5, 0.12), price(m5, 0.2, { region: 'eu-central-1' })]))
    const { version } = catalogue.book
    clock.advance(86_400_000)
    await catalogue.refresh(source([price(m5, 0.12)]))
    expect(catalogue.book.version).toBe(version)
    expect((await catalogue.states())[0]).toMatchObject({ fetched_at: clock.now().toISOString(), prices: 2 })
    expect(catalogue.book.tiers(m5)[0]?.usd_per_unit).toBe(0.12)
    expect(catalogue.book.tiers(m5, 'eu-central-1')[0]?.usd_per_unit).toBe(0.2)
  })

  it('is refreshed source by source, and tells what waits and how old the list is', async () => {
    const { records, log, clock } = setUp()
    const lines: Record<string, unknown>[] = []
    const listening = { ...log, info: (event: string, fields = {}) => void lines.push({ event, ...fields }) }
    const sources = [
      { ...source([price(m5, 11.5), price('aws/new', 1)]), name: 'one' },
      { ...source([], true), name: 'two' },
    ]
    const catalogue = priceCatalogue({ records, log, now: clock.now, base: snapshotPrices(), sources })
    const config = { version: '1', public_url: '', max_upload_bytes: 1, wake_wait_ms: 1, scratch_dir: '', stage: 'dev' }
    const run = await refreshPrices({ catalogue, now: clock.now, log: listening, config })
    expect(run.sources).toEqual([
      { source: 'one', skipped: false, accepted: 1, held: 1, failure: null },
      { source: 'two', skipped: false, accepted: 0, held: 0, failure: 'Error: connection reset' },
    ])
    expect(log.events).toContain('prices_held')
    const again = async () =>
      (await refreshPrices({ catalogue, now: clock.now, log, config })).sources.map(({ skipped }) => skipped)
    expect(await again()).toEqual([true, false])
    clock.advance(22 * 3_600_000)
    expect(await again()).toEqual([false, false])
    const metric = lines.find(({ event }) => event === 'price_age')
    expect(metric).toMatchObject({ stage: 'dev', PriceAgeHours: run.price_age_hours })
    expect(JSON.stringify(metric?._aws)).toContain('"Dimensions":[["stage"]]')
  })

  it('shows what is held to everybody and lets operators alone release it', async () => {
    const { make, records, log, clock } = setUp()
    for (const [id, operator] of [
      ['org_1', true],
      ['org_2', false],
    ] as const) {
      const organization = { id, name: id, operator, admins: 1, created_at: '2026-11-01T00:00:00.000Z' }
      await records.write([putOrganization(organization, 'absent')])
    }
    const catalogue = make()
    await catalogue.refresh(source([price(m5, 11.5), price('aws/new', 1)]))
    clock.advance(90 * 60_000)
    const list = await listPrices({ catalogue, now: clock.now })
    expect(list).toMatchObject({
      age_hours: 1.5,
      sources: [{ name: 'test-list', age_hours: 1.5, prices: 1, held: 1, failure: null }],
    })
    expect(list.held).toMatchObject([
      { sku: m5, region: 'us-east-1', source: 'test-list', reason: expect.stringContaining('moved by') },
    ])
    const app = { records, catalogue, log }
    const wanted = { sku: m5, region: 'us-east-1' }
    const admin = { ...viewer, role: 'admin' as const }
    await expect(releasePrices(app, { ...admin, organization_id: 'org_2' }, wanted)).rejects.toMatchObject({ code: 'forbidden' })
    await expect(releasePrices(app, { ...viewer, role: 'editor' }, wanted)).rejects.toMatchObject({ code: 'forbidden' })
    await releasePrices(app, admin, wanted)
    expect(catalogue.book.tiers(m5)[0]?.usd_per_unit).toBe(11.5)
    expect((await listPrices({ catalogue, now: clock.now })).held).toEqual([])
    await expect(releasePrices(app, admin, wanted)).rejects.toMatchObject({ code: 'not_found' })
  })
})
