import { nanoUsdFrom, usdFrom } from '../../layers/core/domain/money.ts'
import { type PriceBook, tieredCost } from '../../layers/core/domain/price.ts'

/** One thing that costs something each month although nobody uses the platform. */
export interface Line {
  service: string
  what: string
  usd_per_month: number
}

/** `quantity` units of a SKU for a month, priced like everything else. Fails where there is no price: nothing may be left out. */
export const line = (prices: PriceBook, service: string, sku: string, quantity: number, what: string): Line => {
  const cost = tieredCost(prices.tiers(sku), 0, quantity)
  if (cost === undefined) throw new Error(`${what}: price list ${prices.version} has no ${sku}`)
  return { service, what, usd_per_month: usdFrom(cost) }
}

/** Lines of the same service and words as one. */
export const merged = (lines: readonly Line[]): Line[] =>
  [...Map.groupBy(lines, ({ service, what }) => `${service}\n${what}`).values()].flatMap((group) => {
    const [first] = group
    if (!first) return []
    const sum = group.reduce((total, { usd_per_month }) => total + nanoUsdFrom(usd_per_month), 0n)
    return [{ ...first, what: group.length > 1 ? `${group.length} × ${first.what}` : first.what, usd_per_month: usdFrom(sum) }]
  })

export const total = (lines: readonly Line[]): number => lines.reduce((sum, { usd_per_month }) => sum + usd_per_month, 0)
