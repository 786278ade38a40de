import { describe, expect, it } from 'vitest'
import { CostAnalysis } from '../../../layers/core/domain/analytics.ts'
import { nanoUsdFrom } from '../../../layers/core/domain/money.ts'
import { analyseCost } from '../../../layers/core/usecases/analyse-cost.ts'
import { analyticsApp, deploymentOf, modelOf, optimizedOf, store, viewer } from '../../support/fleet.ts'
import { sampleAt, seededRandom } from '../../support/usage.ts'

const november = (day: number, hour = 0) => Date.UTC(2026, 10, day, hour)
const nanoSum = (values: number[]) => values.reduce((sum, value) => sum + nanoUsdFrom(value), 0n)
const window = { start_time: '2026-11-10T00:00:00Z', end_time: '2026-11-20T00:00:00Z' }

describe('cost analysis', () => {
  it('computes a known case to the nano-dollar', async () => {
    const app = analyticsApp()
    await store(app.records, 'deployment', deploymentOf('dep_1'))
    await store(app.records, 'model', modelOf('mod_1'))
    for (let n = 0; n < 1000; n++) app.meter.record(sampleAt(november(15, 3), { compute_us: 100_000, bytes_out: 2 ** 20 }))
    const report = CostAnalysis.parse(await analyseCost(app, viewer, window))
    // 1,000 × 0.1 s × 2 GB = 200 GB-s; 1,000 requests; 1,000 MiB out; 1 GB stored 240 of 730 hours
    const compute = 200 * 0.0000133334 + 0.0002
    const network = (1000 / 1024) * 0.09
    const storage = 0.023 * (240 / 730)
    expect(report.cost_breakdown.compute).toBeCloseTo(compute, 9)
    expect(report.cost_breakdown.network).toBeCloseTo(network, 8)
    expect(report.cost_breakdown.storage).toBeCloseTo(storage, 8)
    expect(report.total_cost).toBeCloseTo(compute + network + storage, 8)
    expect(report.comparison.our_platform).toBe(report.total_cost)
    // ml.t2.medium holds 1 vCPU and 2 GiB: 240 hours at $0.056, the same network and storage
    expect(report.comparison.aws).toBeCloseTo(240 * 0.056 + network + storage, 6)
    expect(report.comparison.azure).toBeCloseTo(240 * 0.0846 + (1000 / 1024) * 0.087 + 0.0208 * (240 / 730), 6)
    expect(report.comparison.gcp).toBeCloseTo(240 * 0.0771 + (1000 / 1024) * 0.12 + 0.02 * (240 / 730), 6)
    const aws = report.comparison.aws ?? 0
    expect(report.comparison.savings_percentage.aws).toBeCloseTo(((aws - report.total_cost) / aws) * 100, 1)
    expect(report.comparison.basis.aws).toContain('1 × ml.t2.medium')
    expect(report.basis.total_cost).toMatch(/^what this usage costs on AWS at the price list \d{4}-\d{2}-\d{2}/)
  })

  it('counts the storage of a deleted model until it was deleted, and of what was optimised from it', async () => {
    const app = analyticsApp()
    const stored = async (kind: string, deleted_at?: string) => {
      await store(app.records, kind, modelOf('mod_1', { ...(deleted_at && { deleted_at }) }))
      const { other_costs } = await analyseCost(app, viewer, window)
      return other_costs.find(({ type }) => type === 'model_storage')?.amount_usd ?? 0
    }
    expect(await stored('deleted-model', '2026-11-15T00:00:00.000Z')).toBeCloseTo(0.023 * (120 / 730), 8)
    await store(app.records, 'optimization', optimizedOf('opt_1', 'mod_1'))
    expect(await stored('deleted-model', '2026-11-15T00:00:00.000Z')).toBeCloseTo(2 * 0.023 * (120 / 730), 8)
  })

  it('breaks the total down three ways, each summing to it exactly', async () => {
    const app = analyticsApp()
    const random = seededRandom(3)
    const ids = ['dep_1', 'dep_2', 'dep_3', 'dep_4', 'dep_5']
    for (const [index, id] of ids.entries()) {
      const created_at = new Date(november(1) + random() * 10 * 86_400_000).toISOString()
      await store(
        app.records,
        'deployment',
        deploymentOf(id, {
          created_at,
          resolved_model_id: `mod_${index % 2}`,
          scaling_policy: { min_instances: index % 3, max_instances: 5, target_cpu_utilization: 70 },
        }),
      )
    }
    await store(app.records, 'model', modelOf('mod_0', { size_bytes: 333_333_331 }), modelOf('mod_1', { size_bytes: 7_777_777 }))
    for (let n = 0; n < 400; n++) {
      const deployment_id = ids[Math.floor(random() * 5)] ?? ''
      app.meter.record(
        sampleAt(november(11) + n * 1_850_000, {
          deployment_id,
          compute_us: Math.floor(random() * 80_000),
          bytes_out: Math.floor(random() * 100_000),
        }),
      )
    }
    await app.meter.flush()
    await app.rollUp()
    const report = await analyseCost(app, viewer, { start_time: '2026-11-09T07:13:00Z', end_time: '2026-11-19T21:40:00Z' })
    const total = nanoUsdFrom(report.total_cost)
    expect(total).toBeGreaterThan(0n)
    expect(Object.keys(report.cost_by_deployment).sort()).toEqual(ids)
    expect(nanoSum(Object.values(report.cost_breakdown))).toBe(total)
    expect(nanoSum(Object.values(report.cost_by_type))).toBe(total)
    expect(nanoSum(Object.values(report.cost_by_deployment))).toBe(total)
    for (const [id, parts] of Object.entries(report.cost_breakdown_by_deployment))
      expect(nanoSum(Object.values(parts))).toBe(nanoUsdFrom(report.cost_by_deployment[id] ?? -1))
    expect(Object.keys(report.cost_breakdown_by_deployment).sort()).toEqual(ids)
  })

  it('keeps a type without a price apart, with its reason, and out of the comparison', async () => {
    const app = analyticsApp()
    await store(
      app.records,
      'deployment',
      deploymentOf('dep_1'),
      deploymentOf('dep_2', { deployment_type: 'custom', resolved_model_id: 'mod_none' }),
    )
    app.meter.record(sampleAt(november(15)))
    app.meter.record(sampleAt(november(15), { deployment_id: 'dep_2', deployment_type: 'custom' }))
    const report = await analyseCost(app, viewer, window)
    expect(report.unpriced).toEqual([
      { deployment_id: 'dep_2', reason: 'no price is known for deployment type custom (1 requests)' },
    ])
    expect(Object.keys(report.cost_by_deployment)).toEqual(['dep_1'])
    expect(Object.keys(report.cost_by_type)).toEqual(['serverless'])
    expect(report.comparison.basis.aws).toContain('1 × ml.t2.medium')
  })

  it('shows the priced part of an unpriced deployment, but does not compare half a price', async () => {
    const app = analyticsApp()
    await store(app.records, 'model', modelOf('mod_1'))
    await store(app.records, 'deployment', deploymentOf('dep_1', { resolved_model_id: 'mod_none' }))
    await store(app.records, 'deployment', deploymentOf('dep_2', { deployment_type: 'custom' }))
    for (const [deployment_id, deployment_type] of [
      ['dep_1', 'serverless'],
      ['dep_2', 'custom'],
    ] as const)
      app.meter.record(sampleAt(november(15), { deployment_id, deployment_type }))
    const report = await analyseCost(app, viewer, window)
    expect(report.cost_by_deployment.dep_2).toBeCloseTo(0.023 * (240 / 730), 7)
    expect(report.comparison.our_platform).toBe(report.cost_by_deployment.dep_1)
    expect(report.comparison.basis.aws).toContain('(1 × ml.t2.medium)')
  })

  it('compares with nothing where no machine fits, and says why', async () => {
    const app = analyticsApp()
    await store(
      app.records,
      'deployment',
      deploymentOf('dep_1', { resource_requirements: { cpu: '40', memory: '100Gi', gpu: null, timeout: 30 } }),
    )
    const report = await analyseCost(app, viewer, window)
    expect(report.comparison.aws).toBeCloseTo(240 * 2.765, 6)
    expect(report.comparison).toMatchObject({ azure: null, gcp: null, savings_percentage: { azure: null, gcp: null } })
    expect(report.comparison.basis.gcp).toMatch(/^unpriced: deployment dep_1: .*40 vCPU, 102400 MiB/)
  })

  it('sizes the other endpoint by the busiest hour', async () => {
    const app = analyticsApp()
    await store(app.records, 'deployment', deploymentOf('dep_1'))
    // 3 busy cores for one hour: 2 vCPU at 70 % carry 1.4, so three machines
    for (let n = 0; n < 3600; n++)
      app.meter.record(
        sampleAt(november(15, 3) + n * 1000, { cpu_us: 3_000_000, compute_us: 3_000_000, memory_limit_bytes: 2 ** 33 }),
      )
    app.meter.record(sampleAt(november(16, 3)))
    const report = await analyseCost(app, viewer, window)
    expect(report.comparison.basis.aws).toContain('3 × ml.t2.medium')
    expect(report.recommendations.map((one) => one.type)).toContain('high_cost_deployments')
  })

  it('charges storage to those who use a file while they use it, and the rest to nobody', async () => {
    const app = analyticsApp()
    const gone = { status: 'deleted', created_at: '2026-11-08T00:00:00Z', status_since: '2026-11-15T00:00:00Z' } as const
    await store(
      app.records,
      'deployment',
      deploymentOf('dep_1', gone),
      deploymentOf('dep_2', { created_at: '2026-11-12T12:00:00Z', status: 'deleted', status_since: '2026-11-15T00:00:00Z' }),
    )
    await store(app.records, 'model', modelOf('mod_1'), modelOf('mod_spare', { created_at: '2026-11-15T00:00:00Z' }))
    const report = await analyseCost(app, viewer, window)
    const gbMonth = 0.023
    // 120 h used by dep_1 for 120 h and dep_2 for 60 h: two thirds and one third
    expect(report.cost_by_deployment.dep_1).toBeCloseTo(gbMonth * (120 / 730) * (2 / 3), 7)
    expect(report.cost_by_deployment.dep_2).toBeCloseTo(gbMonth * (120 / 730) * (1 / 3), 7)
    const other = report.other_costs.find((line) => line.type === 'model_storage')
    expect(other?.amount_usd).toBeCloseTo(gbMonth * (240 / 730), 7)
    expect(nanoSum(Object.values(report.cost_by_deployment))).toBe(nanoUsdFrom(report.total_cost))
  })

  it('counts instances kept warm since the deployment became active', async () => {
    const app = analyticsApp()
    const warm = {
      scaling_policy: { min_instances: 2, max_instances: 5, target_cpu_utilization: 70 },
      status_since: '2026-11-15T00:00:00Z',
    }
    await store(app.records, 'deployment', deploymentOf('dep_1', warm), deploymentOf('dep_2', { ...warm, status: 'hibernated' }))
    const report = await analyseCost(app, viewer, window)
    expect(report.cost_by_deployment.dep_1).toBeCloseTo(2 * 2 * 120 * 3600 * 0.0000033334, 6)
    expect(report.cost_by_deployment.dep_2).toBe(0)
    expect(report.recommendations.find((one) => one.type === 'scale_to_zero')?.message).toContain('dep_1')
  })

  it('remembers what deployments cost after they are gone from the records, and tells nobody else', async () => {
    const app = analyticsApp()
    app.meter.record(sampleAt(november(15), { deployment_id: 'dep_gone' }))
    await app.meter.flush()
    await app.rollUp()
    const report = await analyseCost(app, viewer, window)
    expect(Object.keys(report.cost_by_deployment)).toEqual(['dep_gone'])
    expect(report.total_cost).toBeGreaterThan(0)
    const foreign = await analyseCost(app, { ...viewer, organization_id: 'org_2' }, window)
    expect(foreign).toMatchObject({
      total_cost: 0,
      cost_by_deployment: {},
      cost_by_type: {},
      comparison: { aws: 0, savings_percentage: { aws: null } },
    })
  })

  it('takes in requests of this very moment, and by default the last 30 days', async () => {
    const app = analyticsApp()
    await store(app.records, 'deployment', deploymentOf('dep_1', { created_at: '2026-01-01T00:00:00Z' }))
    app.meter.record(sampleAt(app.now().getTime() - 10))
    const report = await analyseCost(app, viewer, {})
    expect(report).toMatchObject({
      start_time: '2026-10-21T12:00:00.000Z',
      end_time: '2026-11-20T12:00:00.000Z',
      timestamp: '2026-11-20T12:00:00.000Z',
    })
    expect(report.cost_breakdown.compute).toBeGreaterThan(0)
  })

  it.each([
    ['end before start', { start_time: '2026-11-10T00:00:00Z', end_time: '2026-11-09T00:00:00Z' }, 'query/end_time'],
    ['nothing between them', { start_time: '2026-11-10T00:00:00Z', end_time: '2026-11-10T00:00:00Z' }, 'query/end_time'],
    ['an end in the future', { end_time: '2026-12-10T00:00:00Z' }, 'query/end_time'],
    ['a start in the future', { start_time: '2027-01-01T00:00:00Z' }, 'query/start_time'],
    ['more than 400 days', { start_time: '2025-01-01T00:00:00Z' }, 'query/start_time'],
  ])('refuses %s', async (_, query, pointer) => {
    const app = analyticsApp()
    await expect(analyseCost(app, viewer, query)).rejects.toMatchObject({
      code: 'invalid_request',
      status: 422,
      extras: { errors: expect.arrayContaining([expect.objectContaining({ pointer })]) },
    })
  })
})
