import type { CostAnalysis } from './analytics.ts'
import { cloudProviders, compareWith, savingsPercentage } from './comparison.ts'
import { lambdaBasis } from './cost.ts'
import type { Span, StorageCosts } from './cost-analysis.ts'
import { costRecommendations } from './cost-recommendations.ts'
import { type FleetMember, priceListName, priceListsOf } from './fleet.ts'
import { type MemberCost, memberCost, workloadOf } from './member-cost.ts'
import { type NanoUsd, usdFrom } from './money.ts'
import type { PriceBook } from './price.ts'

export interface CostFacts {
  window: Span
  now: Date
  members: readonly FleetMember[]
  /** Undefined when storage has no price. */
  storage: StorageCosts | undefined
  other_costs: CostAnalysis['other_costs']
  prices: PriceBook
}

const sumOf = (costs: readonly MemberCost[], pick: (cost: MemberCost) => NanoUsd): NanoUsd =>
  costs.reduce((sum, cost) => sum + pick(cost), 0n)

const isUnpriced = ({ totals, standing }: FleetMember): boolean =>
  totals.unpriced_requests > 0 || standing.some((row) => row.unpriced.length > 0)

/** The whole answer of the cost analysis. Every figure is summed in nano-dollars, so its parts sum to it exactly. */
export const costReport = (facts: CostFacts): CostAnalysis => {
  const { window, now, members, storage, prices } = facts
  const all = members.map((member) => memberCost(member, facts))
  // An unpriced deployment without any priced part is left out: 0 would read as "free".
  const costs = all.filter((cost) => cost.total > 0n || !isUnpriced(cost.member))
  const byType = Map.groupBy(costs, (cost) => cost.member.deployment_type)
  const total = sumOf(costs, (cost) => cost.total)
  const lists = priceListsOf(members, prices.version)
  const rows = members.reduce((sum, member) => sum + member.rows.length, 0)
  return {
    timestamp: now.toISOString(),
    start_time: new Date(window.from_ms).toISOString(),
    end_time: new Date(window.to_ms).toISOString(),
    total_cost: usdFrom(total),
    cost_breakdown: {
      compute: usdFrom(sumOf(costs, (cost) => cost.compute)),
      storage: usdFrom(sumOf(costs, (cost) => cost.storage)),
      network: usdFrom(sumOf(costs, (cost) => cost.network)),
    },
    cost_by_type: Object.fromEntries([...byType].map(([type, group]) => [type, usdFrom(sumOf(group, (cost) => cost.total))])),
    cost_by_deployment: Object.fromEntries(costs.map((cost) => [cost.member.deployment_id, usdFrom(cost.total)])),
    cost_breakdown_by_deployment: Object.fromEntries(
      costs.map(({ member, compute, storage, network }) => [
        member.deployment_id,
        { compute: usdFrom(compute), storage: usdFrom(storage), network: usdFrom(network) },
      ]),
    ),
    comparison: comparison(
      facts,
      costs.filter((cost) => !isUnpriced(cost.member)),
      lists,
    ),
    recommendations: costRecommendations(costs, window, prices),
    other_costs: facts.other_costs,
    unpriced: unpricedOf(members, storage, prices),
    basis: {
      total_cost: `what this usage costs on AWS at the ${lists} (list prices, no free tier, no discounts), from ${rows} usage rows`,
      compute: `AWS Lambda arm64 us-east-1${otherBases(members)}, ${lists}: GB-seconds of each deployment's memory including INIT, tiers by the month, and requests; instances kept warm as provisioned concurrency since their deployment became active, and what is charged by the hour for every hour of it that ended`,
      storage: storage
        ? `S3 Standard us-east-1, ${priceListName(prices.version)}: model files while deployments use them`
        : `unpriced: ${priceListName(prices.version)} has no storage price`,
      network: `AWS data transfer out us-east-1, ${lists}: response bytes, tiers by the month`,
    },
  }
}

/** What was charged as anything else than Lambda arm64, by name. */
const otherBases = (members: readonly FleetMember[]): string => {
  const bases = members.flatMap(({ rows, standing }) => [
    ...rows.flatMap((row) => row.cost_bases),
    ...standing.flatMap((row) => row.bases),
  ])
  const others = new Set(bases.filter((basis) => basis !== lambdaBasis && basis !== 'unpriced'))
  return others.size === 0 ? '' : `, ${[...others].sort().join(', ')}`
}

const comparison = (
  { window, storage, prices }: CostFacts,
  costs: readonly MemberCost[],
  lists: string,
): CostAnalysis['comparison'] => {
  const ours = sumOf(costs, (cost) => cost.total)
  const works = costs.map((cost) => workloadOf(cost.member, window, storage))
  const theirs = Object.fromEntries(cloudProviders.map((provider) => [provider, compareWith(provider, works, prices)]))
  const costAt = (provider: string) => theirs[provider]?.cost
  const usdAt = (provider: string) => {
    const cost = costAt(provider)
    return cost === undefined ? null : usdFrom(cost)
  }
  const basisAt = (provider: string) => theirs[provider]?.basis ?? 'unpriced'
  return {
    our_platform: usdFrom(ours),
    aws: usdAt('aws'),
    azure: usdAt('azure'),
    gcp: usdAt('gcp'),
    savings_percentage: {
      aws: savingsPercentage(ours, costAt('aws')),
      azure: savingsPercentage(ours, costAt('azure')),
      gcp: savingsPercentage(ours, costAt('gcp')),
    },
    basis: {
      our_platform: `the priced deployments of this analysis on AWS, ${lists}`,
      aws: basisAt('aws'),
      azure: basisAt('azure'),
      gcp: basisAt('gcp'),
    },
  }
}

const unpricedOf = (
  members: readonly FleetMember[],
  storage: StorageCosts | undefined,
  prices: PriceBook,
): CostAnalysis['unpriced'] =>
  members.flatMap(({ deployment_id, totals, rows, standing }) => {
    const reasons = [...new Set(rows.flatMap((row) => row.unpriced))].map(
      (reason) => `${reason} (${totals.unpriced_requests} requests)`,
    )
    reasons.push(...new Set(standing.flatMap((row) => row.unpriced)))
    if (!storage) reasons.push(`price list ${prices.version} has no storage price`)
    return reasons.map((reason) => ({ deployment_id, reason }))
  })
