import { lengthHours, overlap, type Span } from './cost-analysis.ts'
import type { MemberCost } from './member-cost.ts'
import { type NanoUsd, shareOut } from './money.ts'
import { addDays, datesBetween, type ReportPeriod, startOfDay, wallTime } from './report-calendar.ts'

export const services = ['compute', 'storage', 'network'] as const
export type Service = (typeof services)[number]

/** What one deployment cost for one service on one local day. */
export interface DayLine {
  date: string
  deployment_id: string
  service: Service
  cost: NanoUsd
}

export interface LocalDay extends Span {
  date: string
}

export const daysOf = ({ from, to, time_zone }: ReportPeriod): LocalDay[] =>
  datesBetween(from, to).map((date) => ({
    date,
    from_ms: startOfDay(date, time_zone),
    to_ms: startOfDay(addDays(date, 1), time_zone),
  }))

/** The moments a period begins and ends. */
export const windowOf = ({ from, to, time_zone }: ReportPeriod): Span => ({
  from_ms: startOfDay(from, time_zone),
  to_ms: startOfDay(to, time_zone),
})

/**
 * The cost of every deployment by service and local day, on the days it existed. What is on record by the hour falls on the day the hour
 * begins in; the rest (storage, instances kept warm) goes by the hours of each day. The lines of a deployment and service sum to what
 * the analysis says, to the nano-dollar.
 */
export const dayLines = (costs: readonly MemberCost[], period: ReportPeriod): DayLine[] => {
  const days = daysOf(period)
  return costs.flatMap((cost) => {
    const { member } = cost
    const lived = days.map((day) => lengthHours(overlap(day, member.lifetime)))
    const fall = (hours: readonly HourCost[]) => byDay(hours, days, period)
    const usage = member.rows.map(({ start, cost: lines }) => ({ start, cost: lines.compute + lines.requests }))
    const standing = member.standing.map((row) => ({ start: row.hour, cost: row.cost }))
    const compute = withRest(cost.compute, fall([...usage, ...standing]), warmHours(cost, days, lived))
    const network = withRest(
      cost.network,
      fall(member.rows.map(({ start, cost: lines }) => ({ start, cost: lines.network }))),
      lived,
    )
    const storage = withRest(cost.storage, fall([]), lived)
    const amounts = { compute, storage, network }
    return days.flatMap(({ date }, at) =>
      services.flatMap((service) => {
        const amount = amounts[service][at] ?? 0n
        const exists = (lived[at] ?? 0) > 0
        return exists || amount !== 0n ? [{ date, deployment_id: member.deployment_id, service, cost: amount }] : []
      }),
    )
  })
}

/** ISO 8601 and what the hour cost. */
interface HourCost {
  start: string
  cost: NanoUsd
}

/** A cut hour begins before its window: what it holds is of the first day all the same. */
const byDay = (hours: readonly HourCost[], days: readonly LocalDay[], { time_zone }: ReportPeriod): NanoUsd[] => {
  const at = new Map(days.map(({ date }, index) => [date, index]))
  const sums = days.map(() => 0n)
  for (const { start, cost } of hours) {
    const start_ms = Date.parse(start)
    const index = at.get(wallTime(start_ms, time_zone).date) ?? (start_ms < (days[0]?.from_ms ?? 0) ? 0 : days.length - 1)
    sums[index] = (sums[index] ?? 0n) + cost
  }
  return sums
}

/** Hours of each day in which instances were kept ready: since the present active state began; else while it lived. */
const warmHours = ({ member }: MemberCost, days: readonly LocalDay[], lived: readonly number[]): number[] => {
  const { deployment, lifetime } = member
  if (deployment?.status !== 'active') return [...lived]
  const since = { from_ms: Date.parse(deployment.status_since), to_ms: lifetime.to_ms }
  const hours = days.map((day) => lengthHours(overlap(day, since)))
  return hours.some((one) => one > 0) ? hours : [...lived]
}

/** Parts plus what is missing to the total, shared out by the weights. */
const withRest = (total: NanoUsd, parts: readonly NanoUsd[], weights: readonly number[]): NanoUsd[] => {
  const rest = total - parts.reduce((sum, part) => sum + part, 0n)
  if (rest <= 0n) return [...parts]
  const shares = shareOut(rest, weights)
  return parts.map((part, at) => part + (shares[at] ?? 0n))
}
