import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import { Price, type PriceBook, priceBookFrom } from '../core/domain/price.ts'
import type { PriceSource } from '../core/ports/price-source.ts'

const bundled = (): unknown => JSON.parse(readFileSync(new URL('./snapshot-2026-11.json', import.meta.url), 'utf8'))

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

const bookFrom = (content: unknown): PriceBook => {
  const { version, prices } = read(content)
  return priceBookFrom(version, prices)
}

let shipped: PriceBook | undefined
/** Read at the first price: most functions never ask for one, and reading takes longer than many a request. */
const open = (): PriceBook => {
  shipped ??= bookFrom(bundled())
  return shipped
}

/** The price list that ships with the platform, dated, or another; fails with `internal` when that is damaged. */
export const snapshotPrices = (content?: unknown): PriceBook =>
  content === undefined
    ? {
        get version() {
          return open().version
        },
        tiers: (sku, region) => open().tiers(sku, region),
      }
    : bookFrom(content)

/** The same as a source for the catalogue, so that there is a last good state from the first start. */
export const snapshotSource = (content?: unknown): PriceSource => ({
  name: 'snapshot',
  every_hours: 24 * 365,
  async *prices() {
    yield* read(content ?? bundled()).prices
  },
})
