import type { Price } from '../../layers/core/domain/price.ts'
import type { PriceSource } from '../../layers/core/ports/price-source.ts'

/** Everything a source yields. */
export const allOf = async (source: PriceSource): Promise<Price[]> => {
  const prices: Price[] = []
  for await (const price of source.prices()) prices.push(price)
  return prices
}

/** `<sku> <from> <usd>`, sorted. */
export const shortPrices = (prices: readonly Price[]): string[] =>
  prices.map(({ sku, from_quantity, usd_per_unit }) => `${sku} ${from_quantity} ${usd_per_unit}`).sort()
