import type { PerformanceAnalysis, Recommendation } from './analytics.ts'
import { anomaliesOf } from './anomalies.ts'
import type { Span } from './cost-analysis.ts'
import type { FleetMember } from './fleet.ts'
import { latencyAt } from './latency-sketch.ts'
import { sumUsage, type UsageSum } from './usage.ts'

const round = (value: number, digits: number): number => Math.round(value * 10 ** digits) / 10 ** digits
const milliseconds = (us: number): number => round(us / 1000, 3)

/** `avg_latency` in ms and `error_rate` in percent; both 0 without requests. */
const traffic = ({ requests, errors, latency_sum_us }: UsageSum) => ({
  requests,
  avg_latency: requests > 0 ? milliseconds(latency_sum_us / requests) : 0,
  error_rate: requests > 0 ? round((errors / requests) * 100, 4) : 0,
})

const percentile = (totals: UsageSum, share: number): number | null => {
  const us = latencyAt(totals.latency, share)
  return us === undefined ? null : milliseconds(us)
}

/** A deployment is slow when its average is over half a second, or it takes twice as long as the fleet and over 100 ms. */
const slow_ms = 500
const slowOfFleet_ms = 100
const errorProneRate = 5

const recommend = (members: readonly FleetMember[], fleet: ReturnType<typeof traffic>): Recommendation[] => {
  const busy = members.filter(({ totals }) => totals.requests >= 20).map((member) => ({ member, ...traffic(member.totals) }))
  const slow = busy.filter(
    ({ avg_latency }) => avg_latency > slow_ms || (avg_latency > slowOfFleet_ms && avg_latency > 2 * fleet.avg_latency),
  )
  const failing = busy.filter(({ error_rate }) => error_rate > errorProneRate)
  const cold = busy.filter(({ member }) => member.totals.cold_starts / member.totals.requests > 0.05)
  const unoptimised = slow.filter(({ member }) => member.deployment?.model_type === 'original')
  const ids = (list: typeof busy) => list.map(({ member }) => member.deployment_id).join(', ')
  const line = (
    type: string,
    list: typeof busy,
    message: string,
    impact: Recommendation['impact'],
    figure: (one: (typeof busy)[number]) => string,
  ): Recommendation[] =>
    list.length === 0
      ? []
      : [
          {
            type,
            message: `${message}: ${ids(list)}`,
            impact,
            basis: list.map((one) => `${one.member.deployment_id} ${figure(one)}`).join(', '),
          },
        ]
  return [
    ...line(
      'high_latency_deployments',
      slow,
      'Consider optimizing high-latency deployments',
      'high',
      (one) => `averages ${one.avg_latency} ms over ${one.requests} requests`,
    ),
    ...line(
      'model_optimization',
      unoptimised,
      'Consider optimizing models using quantization, pruning, or distillation to improve performance',
      'medium',
      (one) => `serves the original model at ${one.avg_latency} ms`,
    ),
    ...line(
      'high_error_rate_deployments',
      failing,
      'Look into failing requests',
      'high',
      (one) => `${one.error_rate} % of ${one.requests} requests failed`,
    ),
    ...line(
      'cold_starts',
      cold,
      'Raise the hibernation idle time-out or min_instances where cold starts are frequent',
      'medium',
      (one) => `${one.member.totals.cold_starts} cold starts in ${one.requests} requests`,
    ),
  ]
}

/** The whole answer of the performance analysis; `members` by the hour. Percentiles come from merged sketches. */
export const performanceReport = (members: readonly FleetMember[], window: Span, now: Date): PerformanceAnalysis => {
  const used = members.filter(({ totals }) => totals.requests > 0)
  const fleet = traffic(sumUsage(used.flatMap((member) => member.rows)))
  const byType = Map.groupBy(used, (member) => member.deployment_type)
  const anomalies = used
    .map((member) => [member.deployment_id, anomaliesOf(member.rows)] as const)
    .filter(([, found]) => found.length > 0)
  const rows = used.reduce((sum, member) => sum + member.rows.length, 0)
  return {
    timestamp: now.toISOString(),
    start_time: new Date(window.from_ms).toISOString(),
    end_time: new Date(window.to_ms).toISOString(),
    total_requests: fleet.requests,
    avg_latency: fleet.avg_latency,
    error_rate: fleet.error_rate,
    performance_by_type: Object.fromEntries(
      [...byType].map(([type, group]) => [type, traffic(sumUsage(group.flatMap((member) => member.rows)))]),
    ),
    performance_by_deployment: Object.fromEntries(
      used.map(({ deployment_id, totals }) => [
        deployment_id,
        {
          ...traffic(totals),
          p50_latency: percentile(totals, 0.5),
          p95_latency: percentile(totals, 0.95),
          p99_latency: percentile(totals, 0.99),
          cold_starts: totals.cold_starts,
        },
      ]),
    ),
    recommendations: recommend(used, fleet),
    anomalies: Object.fromEntries(anomalies),
    basis: {
      avg_latency: `ms from the request at the platform's edge to the end of its answer, waking included, mean of ${fleet.requests} requests in ${rows} hourly usage rows; percentiles from merged sketches, within 1 %`,
      error_rate: `percent of ${fleet.requests} requests that the platform or the model answered with an error`,
    },
  }
}
