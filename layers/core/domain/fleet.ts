import type { Span } from './cost-analysis.ts'
import type { Deployment } from './deployment.ts'
import type { StandingRow } from './standing-row.ts'
import { grain_ms, type UsageRow, type UsageSum } from './usage.ts'

/** One deployment with what it used in a window. */
export interface FleetMember {
  deployment_id: string
  deployment_type: string
  name: string
  /** Undefined when it was deleted so long ago that only its usage is left. */
  deployment: Deployment | undefined
  lifetime: Span
  /** Sorted by time, by the hour or day. */
  rows: UsageRow[]
  totals: UsageSum
  /** What it cost by the hour while it was awake, whether called or not; accrued hours only. */
  standing: StandingRow[]
}

/** From creation to deletion or now; by its usage where there is no record. */
export const lifetimeOf = (deployment: Deployment | undefined, rows: readonly UsageRow[], now_ms: number): Span => {
  const first = rows[0]
  const last = rows.at(-1)
  if (deployment) {
    const deleted = deployment.status === 'deleted'
    return { from_ms: Date.parse(deployment.created_at), to_ms: deleted ? Date.parse(deployment.status_since) : now_ms }
  }
  return first && last
    ? { from_ms: Date.parse(first.start), to_ms: Date.parse(last.start) + grain_ms[last.grain] }
    : { from_ms: now_ms, to_ms: now_ms }
}

/** `price list 2026-11-20` for version `snapshot-2026-11-20`. */
export const priceListName = (version: string): string => `price list ${version.replace(/^snapshot-/, '')}`

/** The price lists that usage was costed with, when it was flushed; the one in force where there was none. */
export const priceListsOf = (members: readonly FleetMember[], current: string): string => {
  const versions = new Set(
    members.flatMap((member) => [
      ...member.rows.flatMap((row) => row.price_versions),
      ...member.standing.map((row) => row.price_version),
    ]),
  )
  return [...(versions.size > 0 ? versions : [current])].sort().map(priceListName).join(', ')
}
