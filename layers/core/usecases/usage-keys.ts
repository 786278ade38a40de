import * as z from 'zod'
import { bucketStart, type Grain, UsageRow } from '../domain/usage.ts'
import type { Key, Query, Records } from '../ports/records.ts'
import { everyStored } from './every-stored.ts'
import { organizationKey } from './record-keys.ts'

/**
 * Usage rows of a deployment share the partition `usage#<deployment>`: `minute#<start>#<flush id>`, `hour#<start>`, `day#<start>`.
 * `open#<hour>` marks an hour that has minute rows its hour row does not know; it is written in one transaction with them, so
 * readers know exactly which hours to read by the minute, and the roll-up which to do (index `worklist`, `usage#open-hours`).
 */
export const usagePartition = (deployment_id: string): string => `usage#${deployment_id}`
export const openHours = 'usage#open-hours'

export const isoOf = (at_ms: number): string => new Date(at_ms).toISOString()

export const rollUpKey = (deployment_id: string, grain: Exclude<Grain, 'minute'>, start_ms: number): Key => ({
  pk: usagePartition(deployment_id),
  sk: `${grain}#${isoOf(start_ms)}`,
})

export const OpenHour = z.object({ organization_id: z.string(), deployment_id: z.string(), hour: z.string() })
export type OpenHour = z.infer<typeof OpenHour>
export const openHourKey = (deployment_id: string, hour_ms: number): Key => ({
  pk: usagePartition(deployment_id),
  sk: `open#${isoOf(hour_ms)}`,
})

/** Usage of one organisation in one calendar month (UTC), kept by the roll-up, read for price tiers. */
export const UsageMonth = z.object({ billed_mb_ms: z.number(), bytes_out: z.number() })
export const usageMonthKey = (organization_id: string, at_ms: number): Key => ({
  pk: `usage-month#${organization_id}`,
  sk: isoOf(at_ms).slice(0, 7),
})

/** Unix seconds until which rows of a bucket are kept; days for ever. A late row counts from when it is written. */
export const expiryOf = (grain: Grain, start_ms: number, now_ms: number): { expires_at?: number } => {
  const kept_days = { minute: 7, hour: 400 }
  return grain === 'day' ? {} : { expires_at: Math.ceil(Math.max(start_ms, now_ms) / 1000) + kept_days[grain] * 86_400 }
}

/** That a deployment ever had usage, kept for ever under its organisation: deployments leave, their cost does not. */
export const UsedDeployment = z.object({ deployment_id: z.string(), deployment_type: z.string() })
export const usedDeploymentKey = (organization_id: string, deployment_id: string): Key =>
  organizationKey(organization_id, 'used-deployment', deployment_id)

/** Every document a query finds, parsed. */
export const readAll = async <Out>(records: Pick<Records, 'query'>, query: Query, schema: z.ZodType<Out>): Promise<Out[]> => {
  const found: Out[] = []
  for await (const stored of everyStored(records, query)) found.push(schema.parse(stored.body))
  return found
}

/** Rows of one grain whose bucket starts in [from_ms, to_ms). */
export const readRows = (
  records: Pick<Records, 'query'>,
  deployment_id: string,
  grain: Grain,
  from_ms: number,
  to_ms: number,
): Promise<UsageRow[]> =>
  to_ms <= from_ms
    ? Promise.resolve([])
    : readAll(
        records,
        { pk: usagePartition(deployment_id), from: `${grain}#${isoOf(from_ms)}`, to: `${grain}#${isoOf(to_ms - 1)}` },
        UsageRow,
      )

/** Starts of the hours in [from_ms, to_ms) that must be read by the minute. */
export const readOpenHours = async (
  records: Pick<Records, 'query'>,
  deployment_id: string,
  from_ms: number,
  to_ms: number,
): Promise<Set<number>> => {
  const range = {
    pk: usagePartition(deployment_id),
    from: `open#${isoOf(bucketStart(from_ms, 'hour'))}`,
    to: `open#${isoOf(to_ms)}`,
  }
  return new Set((await readAll(records, range, OpenHour)).map((open) => Date.parse(open.hour)))
}
