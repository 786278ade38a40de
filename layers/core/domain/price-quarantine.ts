import type { Price } from './price.ts'

/** Whether new tiers of one SKU and region may replace the ones in force. */
export type PriceVerdict = { accept: true } | { accept: false; reason: string }

/** A price that moves by more than this share, up or down, waits for somebody to confirm it. */
export const largestJump = 0.5

const ascending = (tiers: readonly Price[]): Price[] => [...tiers].sort((a, b) => a.from_quantity - b.from_quantity)

/** The price that holds for the smallest quantity, i.e. what most usage pays. */
const priceAt = (tiers: readonly Price[], quantity: number): number | undefined =>
  ascending(tiers).findLast((tier) => tier.from_quantity <= quantity)?.usd_per_unit

/**
 * Price sources err: units change, fields go missing, a currency slips in. A price of 0, tiers with a hole or twice the same start,
 * a changed unit, and a jump beyond `limit` at the start of any tier, old or new, are held back; everything else is accepted.
 */
export const judgePrices = (current: readonly Price[], next: readonly Price[], limit = largestJump): PriceVerdict => {
  const hold = (reason: string): PriceVerdict => ({ accept: false, reason })
  const tiers = ascending(next)
  const zero = tiers.find((tier) => !(tier.usd_per_unit > 0))
  if (tiers.length === 0) return hold('no price at all')
  if (zero) return hold(`price ${zero.usd_per_unit} from ${zero.from_quantity} ${zero.unit}; wanted more than 0`)
  if (tiers[0]?.from_quantity !== 0) return hold(`the first tier starts at ${tiers[0]?.from_quantity}; wanted 0`)
  if (new Set(tiers.map((tier) => tier.from_quantity)).size < tiers.length) return hold('two prices for the same tier')
  const unit = current[0]?.unit
  if (unit !== undefined && tiers.some((tier) => tier.unit !== unit))
    return hold(`unit ${tiers.find((tier) => tier.unit !== unit)?.unit}; wanted ${unit}`)
  for (const { from_quantity } of [...current, ...tiers]) {
    const before = priceAt(current, from_quantity)
    const after = priceAt(tiers, from_quantity)
    if (before === undefined || after === undefined) continue
    const change = after / before - 1
    if (after > before * (1 + limit) || after < before * (1 - limit)) {
      return hold(
        `moved by ${(change * 100).toFixed(1)} % from ${before} to ${after} at ${from_quantity}; wanted at most ${limit * 100} %`,
      )
    }
  }
  return { accept: true }
}
