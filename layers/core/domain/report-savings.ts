import * as z from 'zod'
import type { Span } from './cost-analysis.ts'
import type { Deployment } from './deployment.ts'
import { grain_ms, type UsageRow } from './usage.ts'

/** One entry of the hibernation ledger, as the schedule that puts deployments to sleep writes it. */
export const HibernationRecord = z.object({
  deployment_id: z.string(),
  decided_at: z.string(),
  idle_s: z.number(),
  saves_usd_per_hour: z.number().nullable(),
  basis: z.string(),
})
export type HibernationRecord = z.infer<typeof HibernationRecord>

export interface Savings {
  sleeps: number
  hours: number
  usd: number
}

export interface SavingsLedger {
  period: Savings
  so_far: Savings
  /** ISO 8601; null when nothing ever slept. */
  since: string | null
  /** Sleeps whose hours have no price and are in no sum. */
  unpriced_sleeps: number
  basis: string[]
}

/** What is known of one deployment. */
export interface Sleeper {
  deployment: Pick<Deployment, 'status' | 'status_since'> | undefined
  records: readonly HibernationRecord[]
  /** By the hour, sorted, from its first record on. */
  rows: readonly UsageRow[]
}

const hour_ms = grain_ms.hour

/**
 * When a sleep ended, at the earliest it can have: the beginning of the first hour with a request after it, the last use before the
 * next sleep, or the change of state on record. So no hour is counted in which it may have been awake.
 */
const wokeAt = (record: HibernationRecord, next: HibernationRecord | undefined, sleeper: Sleeper, now_ms: number): number => {
  const slept_ms = Date.parse(record.decided_at)
  const used = sleeper.rows.find((row) => Date.parse(row.last_request_at) > slept_ms)
  const ends = [now_ms]
  if (used) ends.push(Math.max(slept_ms, Date.parse(used.start)))
  if (next) ends.push(Date.parse(next.decided_at) - next.idle_s * 1000)
  const { deployment } = sleeper
  const changed_ms = deployment ? Date.parse(deployment.status_since) : slept_ms
  const sleeps_on = deployment?.status === 'hibernated' || deployment?.status === 'hibernating'
  if (!sleeps_on && !next && changed_ms >= slept_ms) ends.push(changed_ms)
  return Math.max(slept_ms, Math.min(...ends))
}

/** What sleeping saved, in a period and so far, against keeping the memory warm; each sleep at the price it was decided with. */
export const savingsLedger = (sleepers: readonly Sleeper[], period: Span, now: Date): SavingsLedger => {
  const so_far: Savings = { sleeps: 0, hours: 0, usd: 0 }
  const inside: Savings = { sleeps: 0, hours: 0, usd: 0 }
  const basis = new Set<string>()
  let unpriced_sleeps = 0
  for (const sleeper of sleepers) {
    const records = [...sleeper.records].sort((a, b) => (a.decided_at < b.decided_at ? -1 : 1))
    for (const [at, record] of records.entries()) {
      if (record.saves_usd_per_hour === null) {
        unpriced_sleeps += 1
        continue
      }
      basis.add(record.basis)
      const from_ms = Date.parse(record.decided_at)
      const to_ms = wokeAt(record, records[at + 1], sleeper, now.getTime())
      add(so_far, (to_ms - from_ms) / hour_ms, record.saves_usd_per_hour)
      const part_ms = Math.min(to_ms, period.to_ms) - Math.max(from_ms, period.from_ms)
      if (part_ms > 0) add(inside, part_ms / hour_ms, record.saves_usd_per_hour)
    }
  }
  return {
    period: inside,
    so_far,
    since: sleepers.flatMap((one) => one.records.map((record) => record.decided_at)).sort()[0] ?? null,
    unpriced_sleeps,
    basis: [...basis].sort(),
  }
}

const add = (sum: Savings, hours: number, usd_per_hour: number): void => {
  sum.sleeps += 1
  sum.hours += hours
  sum.usd += hours * usd_per_hour
}
