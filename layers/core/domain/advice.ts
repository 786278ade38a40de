import {
  type Case,
  cpuOverProvisioned,
  dollars,
  impactOf,
  leastRequests,
  memoryOverProvisioned,
  percent,
  type Rule,
} from './advice-size.ts'
import type { Suggestion } from './analytics.ts'
import { hoursPerMonth } from './comparison.ts'
import { priceUsage } from './cost.ts'
import { keptWarmUsdPerHour, lengthHours, overlap, type Span } from './cost-analysis.ts'
import { priceListName } from './fleet.ts'
import { latencyAt } from './latency-sketch.ts'
import type { MemberCost } from './member-cost.ts'
import { memoryBytes } from './memory-size.ts'
import { costTotal, usdFrom } from './money.ts'
import type { PriceBook } from './price.ts'
import { provisionedUsdPerHour } from './standing-cost.ts'

/** Share of hours without a request from which on a deployment counts as mostly idle. */
const mostlyIdle = 0.5

/** What its deployer provisioned, else `instances` of its memory as Lambda would keep them. */
const warmUsdPerMonth = ({ deployment, prices }: Case, instances: number): number | undefined => {
  const provisioned = provisionedUsdPerHour(deployment, prices)
  if (provisioned !== undefined) return provisioned * hoursPerMonth
  const usd = keptWarmUsdPerHour(instances, memoryBytes(deployment.resource_requirements.memory), prices)
  return usd === undefined ? undefined : usd * hoursPerMonth
}

const enableHibernation: Rule = (about) => {
  const { deployment, hours, idle_share, prices } = about
  if (deployment.cost_optimization_policy.hibernation_enabled || hours < 24 || idle_share < mostlyIdle) return []
  const warm = warmUsdPerMonth(about, deployment.scaling_policy.min_instances)
  const saves = warm === undefined ? null : dollars(warm * idle_share)
  return [
    {
      type: 'enable_hibernation',
      message: 'Enable hibernation for inactive deployments to reduce costs',
      current_value: 'false',
      recommended_value: 'true',
      impact: saves === null ? 'medium' : impactOf(saves),
      saves_usd_per_month: saves,
      basis: `no request in ${percent(idle_share)} of ${Math.round(hours)} hours; min_instances ${deployment.scaling_policy.min_instances} kept warm as Lambda provisioned concurrency, ${priceListName(prices.version)}`,
    },
  ]
}

const scaleToZero: Rule = (about) => {
  const { deployment, hours, idle_share, prices } = about
  const { min_instances } = deployment.scaling_policy
  if (min_instances === 0 || hours < 24 || idle_share < mostlyIdle) return []
  const warm = warmUsdPerMonth(about, min_instances)
  const warm_share = deployment.cost_optimization_policy.hibernation_enabled ? 1 - idle_share : 1
  const saves = warm === undefined ? null : dollars(warm * warm_share)
  return [
    {
      type: 'scale_to_zero',
      message: 'Set min_instances to 0: most hours have no request',
      current_value: String(min_instances),
      recommended_value: '0',
      impact: saves === null ? 'medium' : impactOf(saves),
      saves_usd_per_month: saves,
      basis: `no request in ${percent(idle_share)} of ${Math.round(hours)} hours; ${min_instances} × ${deployment.resource_requirements.memory} as Lambda provisioned concurrency ${percent(warm_share)} of the time, ${priceListName(prices.version)}`,
    },
  ]
}

const highLatency: Rule = ({ deployment, member: { totals } }) => {
  const p95_ms = (latencyAt(totals.latency, 0.95) ?? 0) / 1000
  const average_ms = totals.latency_sum_us / Math.max(totals.requests, 1) / 1000
  if (totals.requests < leastRequests || (average_ms <= 500 && p95_ms <= 1000)) return []
  const model_share = totals.compute_us / Math.max(totals.latency_sum_us, 1)
  const cause =
    model_share >= 0.5
      ? `${percent(model_share)} of the time is the model itself${deployment.model_type === 'original' ? ', which is not optimised' : ''}`
      : `only ${percent(model_share)} of the time is the model; ${totals.cold_starts} of ${totals.requests} requests met a cold start, the rest is waiting`
  return [
    {
      type: 'high_latency',
      message: 'High latency detected. Consider optimizing the model or increasing resources',
      current_value: `${average_ms.toFixed(1)} ms`,
      recommended_value: '500 ms',
      impact: 'high',
      saves_usd_per_month: null,
      basis: `average ${average_ms.toFixed(1)} ms, p95 ${p95_ms.toFixed(1)} ms over ${totals.requests} requests; ${cause}`,
    },
  ]
}

const migrateToServerless: Rule = ({ deployment, member: { totals }, cost, hours, prices }) => {
  const perHour = totals.requests / hours
  if (deployment.deployment_type === 'serverless' || hours < 24 || perHour >= 100) return []
  const asServerless = priceUsage({ ...totals, deployment_type: 'serverless' }, { billed_mb_ms: 0, bytes_out: 0 }, prices)
  const usd = (usdFrom(costTotal(asServerless.cost)) / hours) * hoursPerMonth
  const there =
    asServerless.unpriced ?? `the same traffic as AWS Lambda arm64 is $${dollars(usd)} a month, ${priceListName(prices.version)}`
  const now = (usdFrom(cost.compute + cost.network) / hours) * hoursPerMonth
  // Only what is priced on both sides can be a saving.
  const isPriced = asServerless.unpriced === undefined && totals.unpriced_requests === 0 && cost.compute > 0n
  const difference = isPriced ? `what it costs now is $${dollars(now)}` : 'what it costs now has no price, so no saving is stated'
  if (isPriced && now <= usd) return []
  return [
    {
      type: 'migrate_to_serverless',
      message: 'Consider migrating to serverless deployment for low-traffic workload',
      current_value: deployment.deployment_type,
      recommended_value: 'serverless',
      impact: 'high',
      saves_usd_per_month: isPriced ? dollars(now - usd) : null,
      basis: `${perHour.toFixed(2)} requests an hour; ${there}; ${difference}`,
    },
  ]
}

/** Hours without a request before a deployment counts as unused. */
const unused_hours = 7 * 24

const removeUnused: Rule = ({ member: { totals }, cost, hours, prices }) => {
  if (totals.requests > 0 || hours < unused_hours) return []
  const saves = dollars((usdFrom(cost.total) / hours) * hoursPerMonth)
  const basis = `no request in ${Math.round(hours)} hours; storage and kept-warm instances, ${priceListName(prices.version)}`
  return [
    {
      type: 'unused_deployment',
      message: 'No requests at all: consider deleting it',
      impact: impactOf(saves),
      saves_usd_per_month: saves,
      basis,
    },
  ]
}

const rules: readonly Rule[] = [
  memoryOverProvisioned,
  cpuOverProvisioned,
  enableHibernation,
  scaleToZero,
  highLatency,
  migrateToServerless,
  removeUnused,
]

/** What to change about one deployment, from its usage by the hour in a window; empty when there is nothing to say. */
export const adviseOn = (cost: MemberCost, window: Span, prices: PriceBook): Suggestion[] => {
  const { member } = cost
  const { deployment } = member
  const hours = lengthHours(overlap(member.lifetime, window))
  if (!deployment || deployment.status === 'deleted' || hours <= 0) return []
  const idle_share = Math.max(0, 1 - member.rows.length / Math.max(1, Math.ceil(hours)))
  return rules.flatMap((rule) => rule({ deployment, member, cost, hours, idle_share, prices }))
}
