import type { Forecast } from './analytics.ts'
import { overlap, type Span } from './cost-analysis.ts'
import { type FleetMember, priceListsOf } from './fleet.ts'
import { forecastSeries } from './forecast.ts'
import type { MemberCost } from './member-cost.ts'
import { costTotal, usdFrom } from './money.ts'
import { bucketStart, grain_ms } from './usage.ts'

const toDigits = (value: number, digits: number): number => Math.round(value * 10 ** digits) / 10 ** digits

/** Starts of the whole days of a window on which the deployment existed; a day that is cut would look like a fall in traffic. */
export const wholeDays = (member: FleetMember, window: Span): number[] => {
  const { from_ms, to_ms } = overlap(window, {
    from_ms: bucketStart(member.lifetime.from_ms, 'day'),
    to_ms: member.lifetime.to_ms,
  })
  const days: number[] = []
  const first_ms = Math.ceil(from_ms / grain_ms.day) * grain_ms.day
  for (let day_ms = first_ms; day_ms + grain_ms.day <= to_ms; day_ms += grain_ms.day) days.push(day_ms)
  return days
}

/**
 * Requests and cost of the coming days for every deployment that still exists, from its whole days in the window; where there is
 * none yet, from what there is, scaled to a day. Cost that does not come from requests (storage, kept-warm instances) stays as it is.
 */
export const forecastReport = (
  costs: readonly MemberCost[],
  window: Span,
  days: number,
  now: Date,
  priceVersion: string,
): Forecast => {
  const live = costs.filter(({ member }) => member.deployment && member.deployment.status !== 'deleted')
  const forecasts = live.map((cost) => ({ cost, ...forecastMember(cost, window, days) }))
  const total = (pick: (one: (typeof forecasts)[number]) => number[], digits: number) =>
    Array.from({ length: days }, (_, day) =>
      toDigits(
        forecasts.reduce((sum, one) => sum + (pick(one)[day] ?? 0), 0),
        digits,
      ),
    )
  return {
    timestamp: now.toISOString(),
    days,
    total_requests_forecast: total((one) => one.requests_forecast, 2),
    total_cost_forecast: total((one) => one.cost_forecast, 9),
    forecast_by_deployment: Object.fromEntries(
      forecasts.map(({ cost: { member }, ...forecast }) => [member.deployment_id, { deployment_name: member.name, ...forecast }]),
    ),
    basis: {
      requests: `sum over ${live.length} deployments, each with the method that did best on days held out of its own history`,
      cost: `the same for cost, ${priceListsOf(
        costs.map(({ member }) => member),
        priceVersion,
      )}; storage, kept-warm instances and what is charged by the hour as they are now`,
    },
  }
}

const forecastMember = ({ member, total }: MemberCost, window: Span, days: number) => {
  const existed = overlap(window, member.lifetime)
  // A deployment an hour old has had one day at most: its traffic is not multiplied by 24.
  const existed_days = Math.max((existed.to_ms - existed.from_ms) / grain_ms.day, 1)
  const usage_usd = usdFrom(costTotal(member.totals.cost))
  const fixed_usd = (usdFrom(total) - usage_usd) / existed_days
  const byDay = new Map(member.rows.map((row) => [Date.parse(row.start), row]))
  const whole = wholeDays(member, window)
  const history = (pick: (day_ms: number) => number, sum: number) =>
    whole.length > 0 ? whole.map(pick) : sum > 0 ? [sum / existed_days] : []
  const requests = forecastSeries(
    history((day_ms) => byDay.get(day_ms)?.requests ?? 0, member.totals.requests),
    days,
  )
  const cost = forecastSeries(
    history((day_ms) => {
      const row = byDay.get(day_ms)
      return row ? usdFrom(costTotal(row.cost)) : 0
    }, usage_usd),
    days,
  )
  const partial = whole.length === 0 ? '; less than one whole day of it, taken as a day' : ''
  const unpriced = member.totals.unpriced_requests > 0 ? '; unpriced requests are not in the cost' : ''
  return {
    current_requests: toDigits(member.totals.requests / existed_days, 2),
    current_cost: toDigits(usage_usd / existed_days + fixed_usd, 9),
    requests_forecast: requests.values.map((value) => toDigits(value, 2)),
    cost_forecast: cost.values.map((value) => toDigits(value + fixed_usd, 9)),
    basis: `requests: ${requests.basis}; cost: ${cost.basis}${partial}${unpriced}`,
  }
}
