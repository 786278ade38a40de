import type { CostAnalysis, Forecast, Suggestions } from './analytics.ts'
import { type NanoUsd, usdFrom } from './money.ts'
import type { ReportPeriod } from './report-calendar.ts'
import { addDays, datesBetween } from './report-calendar.ts'
import { type DayLine, type Service, services } from './report-days.ts'
import type { SavingsLedger } from './report-savings.ts'
import { shownDates, shownUsd, visible } from './report-words.ts'

/** Everything a report is made of; all figures as the analyses give them. */
export interface ReportFacts {
  organization: string
  period: ReportPeriod
  now: Date
  current: CostAnalysis
  previous: CostAnalysis
  forecast: Forecast
  suggestions: Suggestions
  lines: readonly DayLine[]
  /** By deployment id. */
  deployments: ReadonlyMap<string, { name: string; deployment_type: string }>
  savings: SavingsLedger
  deletions: readonly { model_id: string; name: string; deletes_at: string }[]
  /** Absent in a preview. */
  schedule?: { id: string; name: string }
  public_url: string
}

export interface Amount {
  usd: number
  previous_usd: number
}

export interface Report {
  subject: string
  organization: string
  period: ReportPeriod
  /** The days in words. */
  dates: string
  generated_at: string
  total: Amount
  change: string
  services: ({ service: Service } & Amount)[]
  deployments: ({ id: string; name: string; deployment_type: string } & Amount)[]
  /** Costs that belong to no deployment. */
  others: { label: string; usd: number; basis: string }[]
  days: { label: string; usd: number }[]
  elsewhere: { label: string; usd: number | null; savings_percentage: number | null; basis: string }[]
  forecast: { days: number; usd: number; basis: string }
  advice: { about: string | null; message: string; impact: string; saves_usd_per_month: number | null; basis: string }[]
  advice_left_out: number
  savings: SavingsLedger
  unpriced: { name: string; reason: string }[]
  deletions: ReportFacts['deletions']
  bases: { label: string; basis: string }[]
  lines: {
    date: string
    deployment_id: string
    name: string
    deployment_type: string
    service: Service
    cost: NanoUsd
    note: string
  }[]
  footer: string[]
}

/** More bars are no chart. */
const most_bars = 31
const most_advice = 6

const otherLabels: Record<string, string> = {
  model_storage: 'Models nobody serves',
  optimization: 'Optimisations',
  platform: 'The platform itself, at rest',
}
const providerLabels = { aws: 'AWS, always on', azure: 'Azure, always on', gcp: 'Google Cloud, always on' } as const

const sum = (amounts: Iterable<NanoUsd>): NanoUsd => {
  let total: NanoUsd = 0n
  for (const amount of amounts) total += amount
  return total
}

/** What a report says, from the facts alone. Names are made visible here; escaping is for whoever renders. */
export const reportOf = (facts: ReportFacts): Report => {
  const { current, previous, period } = facts
  const nameOf = (id: string): string => visible(facts.deployments.get(id)?.name ?? id)
  const typeOf = (id: string): string => visible(facts.deployments.get(id)?.deployment_type ?? '')
  const total = { usd: current.total_cost, previous_usd: previous.total_cost }
  const dates = shownDates(period)
  const advice = adviceOf(facts)
  const unpricedNotes = Map.groupBy(current.unpriced, (one) => one.deployment_id)
  return {
    subject: `Cost report ${dates}: ${shownUsd(total.usd)} (${visible(facts.organization)})`,
    organization: visible(facts.organization),
    period,
    dates,
    generated_at: facts.now.toISOString(),
    total,
    change: changeOf(total, datesBetween(period.from, period.to).length),
    services: services.map((service) => ({
      service,
      usd: current.cost_breakdown[service],
      previous_usd: previous.cost_breakdown[service],
    })),
    deployments: deploymentAmounts(facts).map((one) => ({ ...one, name: nameOf(one.id), deployment_type: typeOf(one.id) })),
    others: current.other_costs.map(({ type, amount_usd, basis }) => ({
      label: otherLabels[type] ?? type,
      usd: amount_usd,
      basis,
    })),
    days: bars(facts),
    elsewhere: (['aws', 'azure', 'gcp'] as const).map((provider) => ({
      label: providerLabels[provider],
      usd: current.comparison[provider],
      savings_percentage: current.comparison.savings_percentage[provider],
      basis: current.comparison.basis[provider],
    })),
    forecast: {
      days: facts.forecast.days,
      usd: facts.forecast.total_cost_forecast.reduce((all, usd) => all + usd, 0),
      basis: facts.forecast.basis.cost,
    },
    advice: advice.slice(0, most_advice),
    advice_left_out: Math.max(0, advice.length - most_advice),
    savings: facts.savings,
    unpriced: current.unpriced.map(({ deployment_id, reason }) => ({ name: nameOf(deployment_id), reason })),
    deletions: facts.deletions.map((one) => ({ ...one, name: visible(one.name) })),
    bases: basesOf(facts),
    lines: facts.lines.map((line) => ({
      ...line,
      name: nameOf(line.deployment_id),
      deployment_type: typeOf(line.deployment_id),
      note: (unpricedNotes.get(line.deployment_id) ?? []).map(({ reason }) => `unpriced: ${reason}`).join('; '),
    })),
    footer: footerOf(facts),
  }
}

const changeOf = ({ usd, previous_usd }: Amount, days: number): string => {
  const before = `the ${days === 1 ? 'day' : `${days} days`} before`
  if (previous_usd === 0) return usd === 0 ? `nothing, as in ${before}` : `nothing in ${before}`
  const percent = ((usd - previous_usd) / previous_usd) * 100
  if (Math.abs(percent) < 0.5) return `about as much as ${before} (${shownUsd(previous_usd)})`
  return `${Math.abs(percent).toFixed(0)} % ${percent > 0 ? 'more' : 'less'} than ${before} (${shownUsd(previous_usd)})`
}

/** Those that cost something now or before, dearest first. */
const deploymentAmounts = ({ current, previous }: ReportFacts): ({ id: string } & Amount)[] =>
  [...new Set([...Object.keys(current.cost_by_deployment), ...Object.keys(previous.cost_by_deployment)])]
    .map((id) => ({ id, usd: current.cost_by_deployment[id] ?? 0, previous_usd: previous.cost_by_deployment[id] ?? 0 }))
    .sort((a, b) => b.usd - a.usd || b.previous_usd - a.previous_usd || (a.id < b.id ? -1 : 1))

/** One bar a day; in a long period one for as many days as make at most 31 bars. */
const bars = ({ lines, period }: ReportFacts): Report['days'] => {
  const byDate = Map.groupBy(lines, (line) => line.date)
  const dates = datesBetween(period.from, period.to)
  const span = Math.ceil(dates.length / most_bars)
  return Array.from({ length: Math.ceil(dates.length / span) }, (_, at) => {
    const group = dates.slice(at * span, (at + 1) * span)
    const [first = ''] = group
    const cost = sum(group.flatMap((date) => byDate.get(date) ?? []).map((line) => line.cost))
    return { label: shownDates({ ...period, from: first, to: addDays(group.at(-1) ?? first, 1) }, false), usd: usdFrom(cost) }
  })
}

const impacts = ['high', 'medium', 'low']

const adviceOf = ({ current, suggestions }: ReportFacts): Report['advice'] =>
  [
    ...Object.values(suggestions.suggestions_by_deployment).flatMap(({ deployment_name, suggestions: list }) =>
      list.map(({ message, impact, saves_usd_per_month, basis, current_value, recommended_value }) => ({
        about: visible(deployment_name),
        message: recommended_value === undefined ? message : `${message} (${current_value ?? '?'} → ${recommended_value})`,
        impact,
        saves_usd_per_month,
        basis,
      })),
    ),
    ...current.recommendations.map(({ message, impact, basis }) => ({
      about: null,
      message,
      impact,
      saves_usd_per_month: null,
      basis,
    })),
  ].sort(
    (a, b) =>
      impacts.indexOf(a.impact) - impacts.indexOf(b.impact) || (b.saves_usd_per_month ?? 0) - (a.saves_usd_per_month ?? 0),
  )

const basesOf = ({ current }: ReportFacts): Report['bases'] => [
  { label: 'Total', basis: current.basis.total_cost },
  { label: 'Compute', basis: current.basis.compute },
  { label: 'Storage', basis: current.basis.storage },
  { label: 'Network', basis: current.basis.network },
]

const footerOf = ({ schedule, public_url, period }: ReportFacts): string[] => [
  `Days are those of ${period.time_zone}; an hour belongs to the day it begins in. Figures are USD at list prices.`,
  schedule === undefined
    ? 'This is a preview; nobody was sent it.'
    : `You get this because of the report schedule “${visible(schedule.name)}”. Admins of the organisation change or end it with PUT or DELETE ${public_url}/reports/schedules/${schedule.id}.`,
]
