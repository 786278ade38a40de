import { describe, expect, it } from 'vitest'
import { Suggestions } from '../../../layers/core/domain/analytics.ts'
import type { Deployment } from '../../../layers/core/domain/deployment.ts'
import type { InferenceSample } from '../../../layers/core/domain/usage.ts'
import { suggestChanges } from '../../../layers/core/usecases/suggest-changes.ts'
import { analyticsApp, deploymentOf, store, viewer } from '../../support/fleet.ts'
import { sampleAt } from '../../support/usage.ts'

const MiB = 2 ** 20
const created_at = '2026-11-10T12:00:00.000Z'
/** Ten days, every hour busy unless told otherwise. */
const adviceOn = async (changes: Partial<Deployment>, sample: Partial<InferenceSample>, hours = 240) => {
  const app = analyticsApp('2026-11-20T12:00:00.000Z')
  await store(app.records, 'deployment', deploymentOf('dep_1', { created_at, status_since: created_at, ...changes }))
  const from_ms = Date.parse(created_at)
  for (let hour = 0; hour < hours; hour++)
    app.meter.record(
      sampleAt(from_ms + hour * 3_600_000, { deployment_type: changes.deployment_type ?? 'serverless', ...sample }),
    )
  const answer = Suggestions.parse(await suggestChanges(app, viewer))
  return new Map((answer.suggestions_by_deployment.dep_1?.suggestions ?? []).map((one) => [one.type, one]))
}
const policy = deploymentOf('x').cost_optimization_policy
const needs = deploymentOf('x').resource_requirements
const scaling = deploymentOf('x').scaling_policy
const busy = { memory_bytes: 1600 * MiB, cpu_us: 9_400, compute_us: 9_500 }

describe('suggestions', () => {
  it('has nothing to say about a deployment that fits its traffic', async () => {
    expect([...(await adviceOn({}, busy)).keys()]).toEqual([])
  })

  it('names a memory size with room above the measured peak, and what it saves', async () => {
    const advice = (
      await adviceOn(
        { resource_requirements: { ...needs, memory: '8Gi' } },
        { ...busy, memory_bytes: 1000 * MiB, memory_limit_bytes: 8192 * MiB, compute_us: 100_000, cpu_us: 100_000 },
      )
    ).get('memory_over_provisioned')
    expect(advice).toMatchObject({
      current_value: '8Gi',
      recommended_value: '2Gi',
      message: 'Memory is over-provisioned. Average utilization: 12.21%',
      impact: 'low',
    })
    // 240 requests × 0.1 s × 8 GB over 240 h, of which three quarters go
    expect(advice?.saves_usd_per_month).toBeCloseTo(0.1 * 8 * 0.0000133334 * 730 * 0.75, 5)
  })

  it('does not promise a saving that less CPU would eat up', async () => {
    const sample = { memory_bytes: 100 * MiB, memory_limit_bytes: 2048 * MiB, compute_us: 100_000, cpu_us: 100_000 }
    const advice = (await adviceOn({}, sample)).get('memory_over_provisioned')
    // one busy core: at 256 MB of memory a run takes 1769 / 256 times as long
    expect(advice?.recommended_value).toBe('256Mi')
    const whole = 0.1 * 2 * 0.0000133334 * 730
    expect(advice?.saves_usd_per_month).toBeCloseTo(whole * (1 - 1769 / 2048), 5)
    expect(advice?.basis).toContain('6.91 times the run time')
  })

  it('names a CPU size with room above the cores that are busy', async () => {
    const advice = (
      await adviceOn({ resource_requirements: { ...needs, cpu: '4' } }, { ...busy, compute_us: 10_000, cpu_us: 10_200 })
    ).get('cpu_over_provisioned')
    expect(advice).toMatchObject({
      current_value: '4',
      recommended_value: '2',
      message: 'CPU is over-provisioned. Average utilization: 25.50%',
      impact: 'medium',
      saves_usd_per_month: null,
    })
  })

  it('advises hibernation where most hours are idle and it is off', async () => {
    const idle = {
      cost_optimization_policy: { ...policy, hibernation_enabled: false },
      scaling_policy: { ...scaling, min_instances: 1 },
    }
    const advice = (await adviceOn(idle, busy, 24)).get('enable_hibernation')
    expect(advice?.saves_usd_per_month).toBeCloseTo(2 * 3600 * 730 * 0.0000033334 * 0.9, 4)
    expect(advice).toMatchObject({ impact: 'high' })
    expect((await adviceOn(idle, busy, 200)).has('enable_hibernation')).toBe(false)
    expect((await adviceOn({ scaling_policy: idle.scaling_policy }, busy, 24)).has('enable_hibernation')).toBe(false)
  })

  it('advises min_instances 0 where most hours are idle', async () => {
    const advice = (await adviceOn({ scaling_policy: { ...scaling, min_instances: 2 } }, busy, 24)).get('scale_to_zero')
    expect(advice).toMatchObject({ current_value: '2', recommended_value: '0' })
    expect(advice?.saves_usd_per_month).toBeCloseTo(2 * 2 * 3600 * 730 * 0.0000033334 * 0.1, 4)
    expect((await adviceOn({}, busy, 24)).has('scale_to_zero')).toBe(false)
  })

  it('finds high latency and says where the time goes', async () => {
    const slow = await adviceOn({}, { ...busy, latency_us: 900_000, compute_us: 850_000, cpu_us: 840_000 })
    expect(slow.get('high_latency')).toMatchObject({
      impact: 'high',
      basis: expect.stringMatching(/94\.44% of the time is the model itself, which is not optimised/),
    })
    const waiting = await adviceOn({}, { ...busy, latency_us: 900_000, cold: true })
    expect(waiting.get('high_latency')?.basis).toMatch(/240 of 240 requests met a cold start/)
  })

  it('advises serverless for low traffic elsewhere, and deletion where there is none', async () => {
    const moved = await adviceOn({ deployment_type: 'custom' }, busy)
    expect(moved.get('migrate_to_serverless')).toMatchObject({
      current_value: 'custom',
      recommended_value: 'serverless',
      saves_usd_per_month: null,
      basis: expect.stringMatching(/^1\.00 requests an hour; the same traffic as AWS Lambda arm64 is \$/),
    })
    const unused = await adviceOn({}, busy, 0)
    expect([...unused.keys()]).toEqual(['unused_deployment'])
  })

  it('waits for enough requests before it speaks of sizes', async () => {
    expect(
      (await adviceOn({ resource_requirements: { ...needs, cpu: '16', memory: '10Gi' } }, { ...busy, memory_bytes: MiB }, 5))
        .size,
    ).toBe(0)
  })
})
