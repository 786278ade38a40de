import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import { Price, type PriceBook, priceBookFrom } from '../core/domain/price.ts'
import type { PriceSource } from '../core/ports/price-source.ts'
import bundled from './snapshot-2026-11.json' with { type: 'json' }

/** The file's form: a header that says how it was compiled, then prices that share its date as `fetched_at`. */
const Snapshot = z.object({
  version: z.string().regex(/^snapshot-\d{4}-\d{2}-\d{2}$/),
  date: z.iso.date(),
  compiled: z.string(),
  note: z.string(),
  prices: z.array(Price.omit({ fetched_at: true }).extend({ usd_per_unit: z.number().positive(), source: z.url() })).min(1),
})

const read = (content: unknown): { version: string; prices: Price[] } => {
  const parsed = Snapshot.safeParse(content)
  if (!parsed.success) throw new PlatformError('internal', `The price snapshot is not usable: ${z.prettifyError(parsed.error)}`)
  const { version, date, prices } = parsed.data
  return { version, prices: prices.map((price) => ({ ...price, fetched_at: date })) }
}

/** The price list that ships with the platform, dated; fails with `internal` when the file is damaged. */
export const snapshotPrices = (content: unknown = bundled): PriceBook => {
  const { version, prices } = read(content)
  return priceBookFrom(version, prices)
}

/** The same as a source for the catalogue, so that there is a last good state from the first start. */
export const snapshotSource = (content: unknown = bundled): PriceSource => ({
  name: 'snapshot',
  every_hours: 24 * 365,
  async *prices() {
    yield* read(content).prices
  },
})
