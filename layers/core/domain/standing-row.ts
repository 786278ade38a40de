import * as z from 'zod'
import { NanoUsdCodec } from './money.ts'

/** What keeping one deployment awake cost in one hour, at the price list of when it was accrued. */
export const StandingRow = z.object({
  organization_id: z.string(),
  deployment_id: z.string(),
  deployment_type: z.string(),
  /** ISO 8601, start of the hour. */
  hour: z.string(),
  awake_ms: z.number().nonnegative(),
  cost: NanoUsdCodec,
  bases: z.array(z.string()),
  price_version: z.string(),
  /** Why a part has no price; then `cost` leaves it out. */
  unpriced: z.array(z.string()),
})
export type StandingRow = z.output<typeof StandingRow>
