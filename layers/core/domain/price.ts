import * as z from 'zod'
import { type NanoUsd, nanoUsdFrom } from './money.ts'

/** One price of one unit of something, as its source listed it. */
export const Price = z.object({
  /** e.g. `aws/lambda/arm64/gb-second`, `aws/s3/standard/gb-month`; the catalogue's key together with `region` and `from_quantity`. */
  sku: z.string(),
  region: z.string(),
  unit: z.string().describe('e.g. GB-second, request, GB-month, GB, hour'),
  usd_per_unit: z.number().nonnegative(),
  /** Where a price has tiers: the monthly quantity from which this one holds, in `unit`. */
  from_quantity: z.number().nonnegative().default(0),
  source: z.string().describe('Where it was read, a URL or document'),
  effective_date: z.string(),
  fetched_at: z.string(),
})
export type Price = z.infer<typeof Price>

/** The catalogue as everyone reads it. An unknown price is undefined, never 0. */
export interface PriceBook {
  /** e.g. `snapshot-2026-11-20`; frozen into every usage row. */
  version: string
  /** All tiers of a SKU, lowest first; empty when unpriced. */
  tiers(sku: string, region?: string): Price[]
  /** Brings the book up to date with other processes, at most once an hour; never fails. Absent: it never changes. */
  load?(): Promise<void>
}

/** A price book over a list; without a region the SKU's first region in the list answers. */
export const priceBookFrom = (version: string, prices: readonly Price[]): PriceBook => {
  const bySku = Map.groupBy(prices, (price) => price.sku)
  return {
    version,
    tiers: (sku, region) => {
      const listed = bySku.get(sku) ?? []
      const wanted = region ?? listed[0]?.region
      return listed.filter((price) => price.region === wanted).sort((a, b) => a.from_quantity - b.from_quantity)
    },
  }
}

/**
 * What `quantity` more units cost after `already` units this month, each part at the price of its tier.
 * Undefined when there is no price.
 */
export const tieredCost = (tiers: readonly Price[], already: number, quantity: number): NanoUsd | undefined => {
  if (tiers.length === 0) return undefined
  let usd = 0
  for (const [index, tier] of tiers.entries()) {
    const from = Math.max(already, tier.from_quantity)
    const to = Math.min(already + quantity, tiers[index + 1]?.from_quantity ?? Number.POSITIVE_INFINITY)
    if (to > from) usd += (to - from) * tier.usd_per_unit
  }
  return nanoUsdFrom(usd)
}

/** The first tier's price in USD; undefined when unpriced. */
export const unitPrice = (prices: PriceBook, sku: string): number | undefined => prices.tiers(sku)[0]?.usd_per_unit
