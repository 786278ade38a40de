import type { Recommendation } from './analytics.ts'
import { quoteAlwaysOn } from './comparison.ts'
import { keptWarmUsdPerHour, lengthHours, overlap, type Span } from './cost-analysis.ts'
import { priceListName } from './fleet.ts'
import { type MemberCost, workloadOf } from './member-cost.ts'
import { memoryBytes } from './memory-size.ts'
import { usdFrom } from './money.ts'
import type { PriceBook } from './price.ts'
import { provisionedUsdPerHour, standingCost } from './standing-cost.ts'

const dollars = (usd: number): string => `$${usd.toFixed(usd < 1 ? 4 : 2)}`
const idsOf = (costs: readonly MemberCost[]): string => costs.map((cost) => cost.member.deployment_id).join(', ')

/** A deployment is dear when it has at least a third of the cost, and that is at least a dollar a month. */
const dearShare = 1 / 3
const dearUsdPerMonth = 1
const monthHours = 730

const highCost = (costs: readonly MemberCost[], window: Span): Recommendation[] => {
  const total = costs.reduce((sum, cost) => sum + usdFrom(cost.total), 0)
  const months = lengthHours(window) / monthHours
  const dear = costs.filter((cost) => usdFrom(cost.total) >= total * dearShare && usdFrom(cost.total) / months >= dearUsdPerMonth)
  if (dear.length === 0) return []
  const shares = dear.map((cost) => `${cost.member.deployment_id} ${dollars(usdFrom(cost.total))}`).join(', ')
  const message = `Consider optimizing high-cost deployments: ${idsOf(dear)}`
  return [
    {
      type: 'high_cost_deployments',
      message,
      impact: 'high',
      basis: `at least a third of ${dollars(total)} in this window each: ${shares}`,
    },
  ]
}

/** Deployments that an always-on endpoint would carry for less: said although it is not our own. */
const cheaperAlwaysOn = (costs: readonly MemberCost[], window: Span, prices: PriceBook): Recommendation[] => {
  const cheaper = costs.flatMap((cost) => {
    const hours = lengthHours(overlap(cost.member.lifetime, window))
    const quote = quoteAlwaysOn('aws', workloadOf(cost.member, window, undefined), prices)
    return hours >= 24 && 'cost' in quote && quote.cost < cost.compute + cost.network ? [{ cost, quote }] : []
  })
  if (cheaper.length === 0) return []
  const figures = cheaper.map(
    ({ cost, quote }) =>
      `${cost.member.deployment_id} ${dollars(usdFrom(cost.compute + cost.network))} against ${dollars(usdFrom(quote.cost))} on ${quote.count} × ${quote.machine}`,
  )
  const message = `Consider always-on instances for deployments with steady high traffic: ${idsOf(cheaper.map(({ cost }) => cost))}`
  return [
    { type: 'dedicated_instances', message, impact: 'high', basis: `${figures.join('; ')}, ${priceListName(prices.version)}` },
  ]
}

/** What is kept ready, by its deployers' word; else as Lambda would charge it. */
const basesOf = (costs: readonly MemberCost[], prices: PriceBook): string => {
  const bases = costs.map(({ member: { deployment } }) => {
    const standing =
      deployment && provisionedUsdPerHour(deployment, prices) !== undefined ? standingCost(deployment, prices) : undefined
    return standing && !('unpriced' in standing) ? standing.basis : 'Lambda provisioned concurrency'
  })
  return [...new Set(bases)].join('; ')
}

const keptWarm = (costs: readonly MemberCost[], prices: PriceBook): Recommendation[] => {
  const warm = costs.flatMap((cost) => {
    const deployment = cost.member.deployment
    const usd =
      deployment?.status === 'active'
        ? (provisionedUsdPerHour(deployment, prices) ??
          keptWarmUsdPerHour(
            deployment.scaling_policy.min_instances,
            memoryBytes(deployment.resource_requirements.memory),
            prices,
          ))
        : 0
    return usd ? [{ cost, usd_per_month: usd * monthHours }] : []
  })
  if (warm.length === 0) return []
  const usd_per_month = warm.reduce((sum, { usd_per_month: usd }) => sum + usd, 0)
  const message = `Let deployments go to zero instances between requests: ${idsOf(warm.map(({ cost }) => cost))}`
  return [
    {
      type: 'scale_to_zero',
      message,
      impact: usd_per_month >= 10 ? 'high' : 'medium',
      basis: `instances kept ready cost ${dollars(usd_per_month)} a month (${basesOf(
        warm.map(({ cost }) => cost),
        prices,
      )}), ${priceListName(prices.version)}`,
    },
  ]
}

const toServerless = (costs: readonly MemberCost[]): Recommendation[] => {
  const idle = costs.filter(
    ({ member }) => member.deployment_type !== 'serverless' && member.deployment && member.totals.requests < 1000,
  )
  if (idle.length === 0) return []
  const requests = idle.map(({ member }) => `${member.deployment_id} ${member.totals.requests}`).join(', ')
  const message = 'Consider migrating low-traffic deployments to serverless for cost savings'
  return [
    { type: 'serverless_migration', message, impact: 'medium', basis: `fewer than 1,000 requests in this window: ${requests}` },
  ]
}

/** What to do about cost, from the figures of the same analysis; empty when there is nothing to say. */
export const costRecommendations = (costs: readonly MemberCost[], window: Span, prices: PriceBook): Recommendation[] => [
  ...highCost(costs, window),
  ...cheaperAlwaysOn(costs, window, prices),
  ...keptWarm(costs, prices),
  ...toServerless(costs),
]
