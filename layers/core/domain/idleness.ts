import type { Deployment } from './deployment.ts'
import { memoryBytes } from './memory-size.ts'

/** What to do with a deployment that may be idle, and why. */
export interface IdlenessDecision {
  action: 'keep' | 'hibernate'
  reason: string
  /** Seconds since the last request or, without one, since it became active. */
  idle_s: number
  /** What sleeping saves: the standing cost where there is one, else what keeping its memory warm would cost; null without a price. */
  saves_usd_per_hour: number | null
}

type Judged = Pick<
  Deployment,
  'status' | 'status_since' | 'transition' | 'cost_optimization_policy' | 'resource_requirements' | 'scaling_policy'
>

/**
 * Whether an active deployment should go to sleep. Fails to "keep": unknown or future times, a change under way and any state but
 * `active` all keep it. `min_instances` does not matter: it holds only while the deployment is active.
 * `usd_per_gb_second` prices memory that is kept warm; one instance at least is assumed to be kept. `standing_usd_per_hour` is what it is
 * really charged by the hour (null: unpriced); undefined where nothing is.
 */
export const decideIdleness = (
  deployment: Judged,
  lastRequestAt: Date | undefined,
  now: Date,
  usd_per_gb_second: number | null = null,
  standing_usd_per_hour?: number | null,
): IdlenessDecision => {
  const since_ms = Math.max(Date.parse(deployment.status_since), lastRequestAt?.getTime() ?? 0)
  const idle_s = Math.max(0, (now.getTime() - since_ms) / 1000)
  const assumed = usd_per_gb_second === null ? null : warmGigabytes(deployment) * 3600 * usd_per_gb_second
  const saves_usd_per_hour = standing_usd_per_hour === undefined ? assumed : standing_usd_per_hour
  const keep = (reason: string): IdlenessDecision => ({
    action: 'keep',
    reason,
    idle_s: Number.isFinite(idle_s) ? idle_s : 0,
    saves_usd_per_hour,
  })
  const { hibernation_enabled, hibernation_idle_timeout } = deployment.cost_optimization_policy
  if (deployment.status !== 'active') return keep(`it is ${deployment.status}, not active`)
  if (deployment.transition !== null) return keep('a change is under way')
  if (!hibernation_enabled) return keep('hibernation is switched off for it')
  if (!Number.isFinite(idle_s)) return keep('its last use is unknown')
  if (idle_s < hibernation_idle_timeout) {
    return keep(`idle for ${idle_s.toFixed(1)} s of ${hibernation_idle_timeout} s`)
  }
  const reason = `no request for ${idle_s.toFixed(1)} s; its limit is ${hibernation_idle_timeout} s`
  return { action: 'hibernate', reason, idle_s, saves_usd_per_hour }
}

/** Memory its instances hold while it is awake, in GiB as Lambda bills it. */
const warmGigabytes = (deployment: Judged): number =>
  (memoryBytes(deployment.resource_requirements.memory) / 2 ** 30) * Math.max(1, deployment.scaling_policy.min_instances)
