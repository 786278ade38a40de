import * as z from 'zod'
import { Price, type PriceBook } from '../domain/price.ts'
import type { PriceSource } from './price-source.ts'

/** Prices of one SKU and region that wait for an operator, and why. */
export const HeldPrices = z.object({
  source: z.string(),
  prices: z.array(Price).min(1),
  reason: z.string(),
  since: z.string(),
})
export type HeldPrices = z.infer<typeof HeldPrices>

/** How a source stands: what its last good run brought, and what its last run failed with. */
export const PriceSourceState = z.object({
  name: z.string(),
  /** ISO 8601, end of the last run that brought a whole list. */
  fetched_at: z.string().nullable(),
  /** Accepted prices (tiers count one by one) in force from this source. */
  prices: z.number().int(),
  held: z.number().int(),
  failure: z.object({ at: z.string(), reason: z.string() }).nullable(),
})
export type PriceSourceState = z.infer<typeof PriceSourceState>

export interface RefreshSummary {
  accepted: number
  held: number
}

/** The price list that grows: last good prices of every source over the dated snapshot. */
export interface PriceCatalogue {
  /** The book in force; its `version` changes with every refresh that changed a price. */
  book: PriceBook
  /** What `refresh-prices` reads, in order; empty where the operator wants no outgoing calls. */
  sources: readonly PriceSource[]
  /** Reads what earlier runs, also of other processes, accepted. */
  load(): Promise<void>
  /** Takes a source's prices; what it no longer lists stays. A source that fails changes nothing but its `failure`. */
  refresh(source: PriceSource): Promise<RefreshSummary>
  states(): Promise<PriceSourceState[]>
  held(): Promise<HeldPrices[]>
  /** Accepts held prices of a SKU after all; false when none are held. */
  release(sku: string, region: string): Promise<boolean>
}
