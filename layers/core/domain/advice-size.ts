import type { Suggestion } from './analytics.ts'
import { hoursPerMonth } from './comparison.ts'
import { billedMemory_mb } from './cost.ts'
import type { Deployment } from './deployment.ts'
import { type FleetMember, priceListName } from './fleet.ts'
import type { MemberCost } from './member-cost.ts'
import { cpuCores, memoryBytes } from './memory-size.ts'
import { usdFrom } from './money.ts'
import type { PriceBook } from './price.ts'

/** What a rule looks at: one deployment with its usage by the hour in a window. */
export interface Case {
  deployment: Deployment
  member: FleetMember
  cost: MemberCost
  /** Hours of the window in which the deployment existed. */
  hours: number
  /** Share of those hours without any request, 0–1. */
  idle_share: number
  prices: PriceBook
}

export type Rule = (about: Case) => Suggestion[]

/** Fewer requests are no basis for sizes or latencies. */
export const leastRequests = 20
/** Memory of one vCPU on Lambda, where CPU comes with memory. */
const lambdaMbPerCore = 1769
const memorySizes_mb = [128, 256, 512, 1024, 2048, 3072, 4096, 6144, 8192, 10_240]
const coreSizes = [0.25, 0.5, 1, 2, 4, 8, 16]
/** Room above the highest measured use. */
const memoryRoom = 1.3
const cpuRoom = 1.4

export const percent = (share: number): string => `${(share * 100).toFixed(2)}%`
export const dollars = (usd: number): number => Math.round(usd * 1e6) / 1e6
export const impactOf = (usd: number): Suggestion['impact'] => (usd >= 10 ? 'high' : usd >= 1 ? 'medium' : 'low')
const quantity = (mb: number): string => (mb % 1024 === 0 ? `${mb / 1024}Gi` : `${mb}Mi`)

/** How much longer a run takes with the CPU that comes with so much memory on Lambda, given the cores it keeps busy. */
const slowdown = (busy_cores: number, memory_mb: number): number => Math.max(1, busy_cores / (memory_mb / lambdaMbPerCore))

/** A smaller memory size that still holds the measured peak, where it saves although less memory means less CPU. */
export const memoryOverProvisioned: Rule = ({ deployment, member: { totals }, hours, prices }) => {
  if (totals.memory_samples < leastRequests) return []
  const limit_bytes = memoryBytes(deployment.resource_requirements.memory)
  const current_mb = billedMemory_mb(limit_bytes)
  const wanted_mb = (totals.memory_peak_bytes * memoryRoom) / 2 ** 20
  const recommended_mb = memorySizes_mb.find((size) => size >= wanted_mb)
  if (recommended_mb === undefined || recommended_mb > current_mb * 0.75) return []
  const busy_cores = totals.cpu_us / Math.max(totals.compute_us, 1)
  const ratio = (recommended_mb * slowdown(busy_cores, recommended_mb)) / (current_mb * slowdown(busy_cores, current_mb))
  const compute_usd = (usdFrom(totals.cost.compute) / hours) * hoursPerMonth
  const saves = compute_usd * (1 - ratio)
  if (saves < 0) return []
  const average_bytes = (totals.memory_sum_kib / totals.memory_samples) * 1024
  const peak_mb = Math.round(totals.memory_peak_bytes / 2 ** 20)
  return [
    {
      type: 'memory_over_provisioned',
      message: `Memory is over-provisioned. Average utilization: ${percent(average_bytes / limit_bytes)}`,
      current_value: deployment.resource_requirements.memory,
      recommended_value: quantity(recommended_mb),
      impact: impactOf(saves),
      saves_usd_per_month: totals.unpriced_requests > 0 ? null : dollars(saves),
      basis: `peak ${peak_mb} MiB over ${totals.memory_samples} requests plus 30 % room; AWS Lambda arm64 GB-seconds of this traffic, ${priceListName(prices.version)}, with ${slowdown(busy_cores, recommended_mb).toFixed(2)} times the run time where less memory means less CPU`,
    },
  ]
}

/** Fewer cores that still hold what is busy while the model runs. */
export const cpuOverProvisioned: Rule = ({ deployment, member: { totals } }) => {
  const cores = cpuCores(deployment.resource_requirements.cpu)
  if (totals.requests < leastRequests || totals.compute_us === 0 || totals.cpu_us === 0) return []
  const busy_cores = totals.cpu_us / totals.compute_us
  const recommended = coreSizes.find((size) => size >= busy_cores * cpuRoom)
  if (recommended === undefined || recommended >= cores) return []
  return [
    {
      type: 'cpu_over_provisioned',
      message: `CPU is over-provisioned. Average utilization: ${percent(busy_cores / cores)}`,
      current_value: deployment.resource_requirements.cpu,
      recommended_value: String(recommended),
      impact: 'medium',
      saves_usd_per_month: null,
      basis: `${busy_cores.toFixed(2)} cores busy while the model runs, over ${totals.requests} requests, plus 40 % room; AWS Lambda charges memory, not CPU, so no saving is stated`,
    },
  ]
}
