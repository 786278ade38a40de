import * as z from 'zod'

/** One rung of a deployment's ladder from warm to cold: what it costs to stay there, and how long the first request then takes. */
export const Rung = z.object({
  name: z.enum(['warm', 'scaled_to_zero', 'endpoint_removed', 'model_archived']),
  /** List price of keeping it for a month of 730 hours without a request; null when a part of it has no price. */
  usd_per_month: z.number().nullable(),
  /** Seconds until the first answer; an estimate, `wake_basis` says from what. */
  wake_seconds: z.number(),
  wake_basis: z.string(),
  /** Where the price comes from, or why there is none. */
  basis: z.string(),
  /** The deployment stands on this rung now. */
  current: z.boolean(),
})
export type Rung = z.infer<typeof Rung>
