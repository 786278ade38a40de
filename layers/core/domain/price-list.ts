import * as z from 'zod'
import { Price } from './price.ts'

const Source = z.object({
  name: z.string(),
  fetched_at: z.string().nullable().describe('End of the last run that brought a whole list'),
  age_hours: z.number().nullable(),
  prices: z.number().int().describe('Prices in force from it, tiers counted one by one'),
  held: z.number().int(),
  failure: z.object({ at: z.string(), reason: z.string() }).nullable().describe('Why its last run brought nothing'),
})

/** What the price list in force is made of. */
export const PriceList = z.object({
  version: z.string(),
  /** Hours since the oldest source was read; without any, since the date of the snapshot. */
  age_hours: z.number().nullable(),
  sources: z.array(Source),
  held: z.array(
    z.object({
      sku: z.string(),
      region: z.string(),
      source: z.string(),
      reason: z.string(),
      since: z.string(),
      prices: z.array(Price),
    }),
  ),
})
export type PriceList = z.infer<typeof PriceList>

const hour_ms = 3_600_000

/** Hours since a moment, to two digits; null for what is no date. */
export const ageHours = (since: string | null, now: Date): number | null => {
  const since_ms = since === null ? Number.NaN : Date.parse(since)
  return Number.isFinite(since_ms) ? Math.round(((now.getTime() - since_ms) / hour_ms) * 100) / 100 : null
}

/**
 * How old the list is that figures come from: the oldest source counts, because each prices something the others do not. Before the
 * first run it is as old as the date in the version's name.
 */
export const listAgeHours = (version: string, sources: readonly { fetched_at: string | null }[], now: Date): number | null => {
  const fetched = sources.flatMap(({ fetched_at }) => (fetched_at === null ? [] : [fetched_at])).sort()
  const oldest = fetched.length === sources.length ? fetched[0] : undefined
  return ageHours(oldest ?? version.match(/snapshot-(\d{4}-\d{2}-\d{2})/)?.[1] ?? null, now)
}
