import type { CostAnalysis } from './analytics.ts'
import { cloudProviders, compareWith, savingsPercentage, type Workload } from './comparison.ts'
import { keptWarmCost, lengthHours, overlap, type Span, type StorageCosts } from './cost-analysis.ts'
import { costRecommendations } from './cost-recommendations.ts'
import { type FleetMember, priceListName, priceListsOf } from './fleet.ts'
import { cpuCores, memoryBytes } from './memory-size.ts'
import { type NanoUsd, usdFrom } from './money.ts'
import type { PriceBook } from './price.ts'
import { grain_ms } from './usage.ts'

/** What one deployment cost, exact. */
export interface MemberCost {
  member: FleetMember
  compute: NanoUsd
  storage: NanoUsd
  network: NanoUsd
  total: NanoUsd
}

export interface CostFacts {
  window: Span
  now: Date
  members: readonly FleetMember[]
  /** Undefined when storage has no price. */
  storage: StorageCosts | undefined
  other_costs: CostAnalysis['other_costs']
  prices: PriceBook
}

/** How long the deployment is known to have kept `min_instances` ready: since its present active state began. */
const warmHours = ({ deployment }: FleetMember, window: Span): number =>
  deployment?.status === 'active'
    ? lengthHours(overlap({ from_ms: Date.parse(deployment.status_since), to_ms: window.to_ms }, window))
    : 0

export const memberCost = (member: FleetMember, facts: Pick<CostFacts, 'window' | 'storage' | 'prices'>): MemberCost => {
  const { deployment, totals } = member
  const warm =
    deployment && member.deployment_type === 'serverless'
      ? keptWarmCost(
          deployment.scaling_policy.min_instances,
          memoryBytes(deployment.resource_requirements.memory),
          warmHours(member, facts.window),
          facts.prices,
        )
      : 0n
  const compute = totals.cost.compute + totals.cost.requests + warm
  const storage = facts.storage?.by_deployment.get(member.deployment_id) ?? 0n
  const network = totals.cost.network
  return { member, compute, storage, network, total: compute + storage + network }
}

/** The deployment as another platform would have to carry it. */
export const workloadOf = (member: FleetMember, window: Span, storage: StorageCosts | undefined): Workload => {
  const { deployment, totals, rows } = member
  const needs = deployment?.resource_requirements
  const busiest_us = rows.reduce((top, row) => Math.max(top, (row.cpu_us || row.compute_us) / grain_ms[row.grain]), 0)
  return {
    deployment_id: member.deployment_id,
    cores: needs ? cpuCores(needs.cpu) : 1,
    memory_bytes: needs ? memoryBytes(needs.memory) : totals.memory_limit_bytes,
    gpus: needs?.gpu ? Number.parseInt(needs.gpu, 10) || 1 : 0,
    busiest_cores: busiest_us / 1000,
    target_utilization: (deployment?.scaling_policy.target_cpu_utilization ?? 70) / 100,
    hours: lengthHours(overlap(member.lifetime, window)),
    bytes_out: totals.bytes_out,
    model_byte_hours: storage?.byte_hours.get(member.deployment_id) ?? 0,
  }
}

const sumOf = (costs: readonly MemberCost[], pick: (cost: MemberCost) => NanoUsd): NanoUsd =>
  costs.reduce((sum, cost) => sum + pick(cost), 0n)

const isUnpriced = (member: FleetMember): boolean => member.totals.unpriced_requests > 0

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
      compute: `AWS Lambda arm64 us-east-1, ${lists}: GB-seconds of each deployment's memory including INIT, tiers by the month, and requests; instances kept warm as provisioned concurrency since their deployment became active`,
      storage: storage
        ? `S3 Standard us-east-1, ${priceListName(prices.version)}: model files while deployments use them`
        : `unpriced: ${priceListName(prices.version)} has no storage price`,
      network: `AWS data transfer out us-east-1, ${lists}: response bytes, tiers by the month`,
    },
  }
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
  members.flatMap(({ deployment_id, totals, rows }) => {
    const reasons = [...new Set(rows.flatMap((row) => row.unpriced))].map(
      (reason) => `${reason} (${totals.unpriced_requests} requests)`,
    )
    if (!storage) reasons.push(`price list ${prices.version} has no storage price`)
    return reasons.map((reason) => ({ deployment_id, reason }))
  })
