import type { Workload } from './comparison.ts'
import { keptWarmCost, lengthHours, overlap, type Span, type StorageCosts } from './cost-analysis.ts'
import type { FleetMember } from './fleet.ts'
import { footprintOf } from './footprint.ts'
import { cpuCores, memoryBytes } from './memory-size.ts'
import type { NanoUsd } from './money.ts'
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

/**
 * How long the deployment is known to have kept `min_instances` ready: since its present active state began. Where a deployer says what
 * it provisioned, the accrued hours say it exactly, and this must not count them again.
 */
const warmHours = ({ deployment }: FleetMember, window: Span): number =>
  deployment?.status === 'active' && footprintOf(deployment.deployer_state) === undefined
    ? lengthHours(overlap({ from_ms: Date.parse(deployment.status_since), to_ms: window.to_ms }, window))
    : 0

/** The accrued hours of the window. */
export const standingTotal = ({ standing }: FleetMember): NanoUsd => standing.reduce((sum, row) => sum + row.cost, 0n)

export const memberCost = (
  member: FleetMember,
  facts: { window: Span; storage: StorageCosts | undefined; prices: PriceBook },
): MemberCost => {
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
  const compute = totals.cost.compute + totals.cost.requests + standingTotal(member) + warm
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
