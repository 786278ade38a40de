import { describe, expect, it } from 'vitest'
import { type Deployment, DeploymentStatus } from '../../../layers/core/domain/deployment.ts'
import { decideIdleness } from '../../../layers/core/domain/idleness.ts'

const now = new Date('2026-11-20T12:00:00.000Z')
const ago = (s: number) => new Date(now.getTime() - s * 1000)
const deployment = (changes: Partial<Deployment> = {}, timeout_s = 60, min_instances = 0) => ({
  status: 'active' as const,
  status_since: ago(3600).toISOString(),
  transition: null,
  resource_requirements: { cpu: '1', memory: '2Gi', gpu: null, timeout: 30 },
  scaling_policy: { min_instances, max_instances: 5, target_cpu_utilization: 70 },
  cost_optimization_policy: {
    use_spot_instances: false,
    hibernation_enabled: true,
    hibernation_idle_timeout: timeout_s,
    multi_cloud_enabled: false,
  },
  ...changes,
})

describe('decideIdleness', () => {
  it('hibernates exactly at the time-out and says why and what it saves', () => {
    expect(decideIdleness(deployment(), ago(59.9), now).action).toBe('keep')
    const decision = decideIdleness(deployment(), ago(60), now, 0.0000033334)
    expect(decision).toMatchObject({ action: 'hibernate', idle_s: 60 })
    expect(decision.reason).toContain('60.0 s')
    expect(decision.saves_usd_per_hour).toBeCloseTo(2 * 3600 * 0.0000033334, 9)
  })

  it('counts from the activation when there was no request since', () => {
    const fresh = deployment({ status_since: ago(10).toISOString() })
    expect(decideIdleness(fresh, undefined, now).action).toBe('keep')
    expect(decideIdleness(fresh, ago(3600), now)).toMatchObject({ action: 'keep', idle_s: 10 })
    expect(decideIdleness(deployment(), undefined, now).action).toBe('hibernate')
  })

  it('does not mind min_instances, which multiply the savings, and knows no savings without a price', () => {
    expect(decideIdleness(deployment({}, 60, 3), ago(99), now, 1).saves_usd_per_hour).toBe(2 * 3 * 3600)
    expect(decideIdleness(deployment({}, 60, 3), ago(99), now)).toMatchObject({ action: 'hibernate', saves_usd_per_hour: null })
  })

  it('fails to keep: other states, changes under way, switched off, unknown and future times', () => {
    for (const status of DeploymentStatus.options.filter((one) => one !== 'active')) {
      expect(decideIdleness(deployment({ status }), ago(9999), now).action, status).toBe('keep')
    }
    const busy = deployment({ transition: { id: 'trn_1', until: now.toISOString() } })
    expect(decideIdleness(busy, ago(9999), now).action).toBe('keep')
    const policy = { ...deployment().cost_optimization_policy, hibernation_enabled: false }
    expect(decideIdleness(deployment({ cost_optimization_policy: policy }), ago(9999), now).action).toBe('keep')
    expect(decideIdleness(deployment({ status_since: 'yesterday' }), ago(9999), now).action).toBe('keep')
    expect(decideIdleness(deployment(), new Date(Number.NaN), now).action).toBe('keep')
    expect(decideIdleness(deployment(), ago(-9999), now)).toMatchObject({ action: 'keep', idle_s: 0 })
  })
})
