import { describe, expect, it } from 'vitest'
import { machines } from '../../../layers/core/domain/comparison.ts'
import { lambdaSkus, priceUsage } from '../../../layers/core/domain/cost.ts'
import { storageSku } from '../../../layers/core/domain/cost-analysis.ts'
import { type Price, tieredCost } from '../../../layers/core/domain/price.ts'
import { judgePrices } from '../../../layers/core/domain/price-quarantine.ts'
import { snapshotPrices, snapshotSource } from '../../../layers/pricing/snapshot.ts'

const prices = snapshotPrices()
const all: Price[] = []
for await (const price of snapshotSource().prices()) all.push(price)

describe('price snapshot', () => {
  it('is dated, and every price has a vendor page, an effective date and a positive amount', () => {
    expect(prices.version).toMatch(/^snapshot-\d{4}-\d{2}-\d{2}$/)
    for (const price of all) {
      expect(new URL(price.source).hostname).toMatch(/^(aws\.amazon\.com|azure\.microsoft\.com|cloud\.google\.com)$/)
      expect(price.effective_date <= price.fetched_at).toBe(true)
      expect(price.usd_per_unit).toBeGreaterThan(0)
    }
  })

  it('has tiers that start at 0, rise, and get cheaper: each would pass its own quarantine', () => {
    for (const tiers of Map.groupBy(all, (price) => `${price.sku} ${price.region}`).values()) {
      expect(judgePrices([], tiers)).toEqual({ accept: true })
      const sorted = prices.tiers(tiers[0]?.sku ?? '', tiers[0]?.region)
      expect(sorted.map((price) => price.usd_per_unit)).toEqual(
        sorted.map((price) => price.usd_per_unit).toSorted((a, b) => b - a),
      )
    }
  })

  it('prices everything the platform charges or compares with', () => {
    const wanted = [...Object.values(lambdaSkus), storageSku, ...machines.map((machine) => machine.sku)]
    expect(wanted.filter((sku) => prices.tiers(sku).length === 0)).toEqual([])
  })

  it('knows no price of the unknown, instead of 0', () => {
    expect(prices.tiers('aws/lambda/riscv/gb-second')).toEqual([])
    expect(prices.tiers(lambdaSkus.request, 'mars-north-1')).toEqual([])
    expect(tieredCost([], 0, 5)).toBeUndefined()
  })

  it('refuses a damaged file and names the member', () => {
    expect(() =>
      snapshotPrices({
        version: 'snapshot-2026-01-01',
        date: '2026-01-01',
        compiled: '',
        note: '',
        prices: [{ sku: 'x', usd_per_unit: 0 }],
      }),
    ).toThrow(/usd_per_unit/)
  })
})

describe('Lambda cost', () => {
  const arm = prices.tiers('aws/lambda/arm64/gb-second')
  const x86 = prices.tiers('aws/lambda/x86/gb-second')

  it('charges every tier at its own price', () => {
    expect(tieredCost(arm, 0, 1e6)).toBe(13_333_400_000n)
    expect(tieredCost(x86, 0, 6e9)).toBe(100_000_200_000_000n)
    expect(tieredCost(x86, 6e9, 1e6)).toBe(15_000_000_000n)
    expect(tieredCost(x86, 15e9, 1e6)).toBe(13_333_400_000n)
    expect(tieredCost(arm, 7.5e9 - 1e6, 2e6)).toBe(13_333_400_000n + 12_000_100_000n)
    expect(tieredCost(arm, 18.75e9, 1e6)).toBe(10_666_700_000n)
  })

  it('costs the same however usage is divided', () => {
    const parts = [1e9, 7e9, 11e9, 3e9]
    let already = 0
    const inParts = parts.reduce((sum, part) => {
      const cost = tieredCost(arm, already, part) ?? 0n
      already += part
      return sum + cost
    }, 0n)
    expect(inParts).toBe(tieredCost(arm, 0, already))
  })

  it('charges 3 M requests of 120 ms at 1,536 MB on x86 $9.00 for compute and $0.60 for requests', () => {
    const gb_s = 3_000_000 * 0.12 * 1.5
    expect(Number(tieredCost(x86, 0, gb_s)) / 1e9).toBeCloseTo(9, 3)
    expect(tieredCost(prices.tiers(lambdaSkus.request), 0, 3_000_000)).toBe(600_000_000n)
  })

  it('is unpriced, with the reason, above what Lambda offers and for other deployment types', () => {
    const usage = { deployment_type: 'serverless', requests: 1, billed_mb_ms: 1, bytes_out: 1, memory_limit_bytes: 16 * 2 ** 30 }
    const month = { billed_mb_ms: 0, bytes_out: 0 }
    expect(priceUsage(usage, month, prices).unpriced).toMatch(/16384 MB .*10240 MB/)
    expect(priceUsage({ ...usage, deployment_type: 'kubernetes' }, month, prices).unpriced).toMatch(/kubernetes/)
    const empty = { version: 'empty', tiers: () => [] }
    expect(priceUsage({ ...usage, memory_limit_bytes: 2 ** 30 }, month, empty).unpriced).toMatch(/empty has no price/)
  })
})

describe('quarantine', () => {
  const tier = (usd_per_unit: number, from_quantity = 0, unit = 'hour'): Price => ({
    sku: 's',
    region: 'r',
    unit,
    usd_per_unit,
    from_quantity,
    source: 'x',
    effective_date: 'd',
    fetched_at: 'd',
  })

  it.each([
    ['the same price', [tier(1)], [tier(1)], true],
    ['a new SKU', [], [tier(1)], true],
    ['a move at the limit', [tier(1)], [tier(1.5)], true],
    ['half the price', [tier(1)], [tier(0.5)], true],
    ['a jump up', [tier(1)], [tier(1.51)], false],
    ['a jump down', [tier(1)], [tier(0.49)], false],
    ['cents for dollars', [tier(0.115)], [tier(11.5)], false],
    ['zero', [tier(1)], [tier(0)], false],
    ['zero for a new SKU', [], [tier(0)], false],
    ['nothing', [tier(1)], [], false],
    ['a tier without a start', [tier(1)], [tier(1, 100)], false],
    ['a tier twice', [tier(1)], [tier(1), tier(1.1)], false],
    ['another unit', [tier(1)], [tier(1, 0, 'second')], false],
    ['a jump in a higher tier only', [tier(1), tier(0.9, 100)], [tier(1), tier(0.2, 100)], false],
    ['a new tier far below', [tier(1)], [tier(1), tier(0.1, 100)], false],
    ['a new tier a little below', [tier(1)], [tier(1), tier(0.8, 100)], true],
  ])('%s', (_, current, next, accept) => {
    const verdict = judgePrices(current, next)
    expect(verdict.accept).toBe(accept)
    if (!verdict.accept) expect(verdict.reason.length).toBeGreaterThan(5)
  })
})
