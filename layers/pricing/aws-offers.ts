import * as z from 'zod'
import type { Price } from '../core/domain/price.ts'
import type { Log } from '../core/ports/log.ts'
import { type AwsProductRow, awsProducts } from './aws-products.ts'

/** A product of AWS's price list, as far as the table looks at it. */
export const Product = z.object({
  sku: z.string(),
  attributes: z.record(z.string(), z.string()),
})
export type Product = z.infer<typeof Product>

const Dimension = z.object({
  unit: z.string(),
  beginRange: z.string(),
  endRange: z.string().optional(),
  pricePerUnit: z.record(z.string(), z.string()),
})
/** One on-demand offer; its price dimensions are the tiers, in any order. */
export const Offer = z.object({ effectiveDate: z.string(), priceDimensions: z.record(z.string(), Dimension) })
export type Offer = z.infer<typeof Offer>

/** An entry of `PriceList` as GetProducts gives it, decoded. */
export const PriceListEntry = z.object({
  product: Product,
  terms: z.object({ OnDemand: z.record(z.string(), Offer).optional() }).optional(),
})
export type PriceListEntry = z.infer<typeof PriceListEntry>

const regionPrefix = /^[A-Z]{2,4}\d?-/

/** `*` matches one instance type. Answers what it stands for, '' without one, undefined when it does not match. */
const matched = (pattern: string, usagetype: string): string | undefined => {
  const [head = '', tail] = pattern.split('*')
  if (tail === undefined) return usagetype === pattern ? '' : undefined
  const middle = usagetype.slice(head.length, usagetype.length - tail.length)
  return usagetype.startsWith(head) && usagetype.endsWith(tail) && /^ml\.[a-z0-9]+\.[a-z0-9]+$/.test(middle) ? middle : undefined
}

/** The SKU of the price book a product is the price of; undefined for the thousands the platform does not charge. */
export const skuOf = (
  service: string,
  { attributes }: Product,
  rows: readonly AwsProductRow[] = awsProducts,
): AwsProductRow | undefined => {
  const usagetype = attributes.usagetype ?? ''
  for (const row of rows) {
    if (row.service !== service) continue
    const star = matched(row.usagetype, usagetype) ?? matched(row.usagetype, usagetype.replace(regionPrefix, ''))
    const fits = Object.entries(row.attributes ?? {}).every(([name, value]) => attributes[name] === value)
    if (star !== undefined && fits) return { ...row, sku: row.sku.replace('*', star) }
  }
  return undefined
}

/** `fetched_at` and `source` as the book wants them; `unitOf` is the book's own unit of a SKU, undefined for one it does not know. */
export interface OfferFacts {
  region: string
  source: string
  fetched_at: string
  unitOf(sku: string): string | undefined
  log: Log
}

/**
 * The tiers of an offer as prices of the book, lowest first. A free allowance (a first tier of 0 before a tier with a price) is list price
 * from the first unit on, because the book knows no free tier; an offer that is 0 throughout stays 0, for the quarantine to see.
 */
export const pricesOfOffer = (row: AwsProductRow, offer: Offer, facts: OfferFacts): Price[] => {
  const unit = facts.unitOf(row.sku)
  if (unit === undefined) return []
  const per = row.per ?? 1
  const tiers = Object.values(offer.priceDimensions)
    .map((dimension) => ({
      from_quantity: numberOf(dimension.beginRange) / per,
      usd: numberOf(dimension.pricePerUnit.USD) / per,
    }))
    .sort((a, b) => a.from_quantity - b.from_quantity)
  const firstPriced = tiers.findIndex(({ usd }) => usd > 0)
  const charged = firstPriced > 0 ? tiers.slice(firstPriced) : tiers
  return charged.map(({ from_quantity, usd }, index) => ({
    sku: row.sku,
    region: facts.region,
    unit,
    usd_per_unit: usd,
    from_quantity: index === 0 ? 0 : from_quantity,
    source: facts.source,
    effective_date: offer.effectiveDate.slice(0, 10),
    fetched_at: facts.fetched_at,
  }))
}

const numberOf = (text: string | undefined): number => {
  const value = text === undefined || text === '' ? Number.NaN : Number(text)
  if (!Number.isFinite(value) || value < 0) throw new TypeError(`The price list says ${text}; wanted a number in USD`)
  return value
}

/** Of several offers the one in force last; a list may hold next month's beside today's. */
export const offerInForce = (offers: readonly Offer[], today: string): Offer | undefined =>
  offers.filter(({ effectiveDate }) => effectiveDate <= today).sort((a, b) => (a.effectiveDate < b.effectiveDate ? 1 : -1))[0] ??
  offers[0]

/**
 * The prices of a service's products that the table names. Where two products with different prices fall under one SKU nobody can say
 * which is meant: the SKU is left out, and with it stays at its last good price.
 */
export const pricesOfService = async (
  entries: AsyncIterable<{ product: Product; offers: readonly Offer[] }>,
  service: string,
  facts: OfferFacts,
): Promise<Price[]> => {
  const found = new Map<string, Price[] | 'ambiguous'>()
  for await (const { product, offers } of entries) {
    const row = skuOf(service, product)
    const offer = row && offerInForce(offers, facts.fetched_at)
    const prices = offer ? pricesOfOffer(row, offer, facts) : []
    if (row === undefined || prices.length === 0) continue
    const before = found.get(row.sku)
    if (before === undefined) found.set(row.sku, prices)
    else if (before !== 'ambiguous' && !isSame(before, prices)) {
      facts.log.warn('price_ambiguous', { service, sku: row.sku, usagetype: product.attributes.usagetype })
      found.set(row.sku, 'ambiguous')
    }
  }
  return [...found.values()].flatMap((prices) => (prices === 'ambiguous' ? [] : prices))
}

const isSame = (a: readonly Price[], b: readonly Price[]): boolean =>
  a.length === b.length &&
  a.every((price, at) => price.usd_per_unit === b[at]?.usd_per_unit && price.from_quantity === b[at]?.from_quantity)
