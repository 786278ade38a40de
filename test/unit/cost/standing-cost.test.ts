import { describe, expect, it } from 'vitest'
import type { Deployment } from '../../../layers/core/domain/deployment.ts'
import { decideIdleness } from '../../../layers/core/domain/idleness.ts'
import { standingCost } from '../../../layers/core/domain/standing-cost.ts'
import type { Operation } from '../../../layers/core/ports/records.ts'
import { accrueStandingCosts } from '../../../layers/core/usecases/accrue-standing-costs.ts'
import { analyseCost } from '../../../layers/core/usecases/analyse-cost.ts'
import { changeDeployment, inState } from '../../../layers/core/usecases/change-deployment.ts'
import { putDeployment } from '../../../layers/core/usecases/deployment-records.ts'
import { forecastUsage } from '../../../layers/core/usecases/forecast-usage.ts'
import { readStandingRows } from '../../../layers/core/usecases/standing-rows.ts'
import { suggestChanges } from '../../../layers/core/usecases/suggest-changes.ts'
import { snapshotPrices } from '../../../layers/pricing/snapshot.ts'
import { analyticsApp, deploymentOf, viewer } from '../../support/fleet.ts'

const prices = snapshotPrices()
const warm = { architecture: 'arm64', memory_mb: 2048, provisioned: 2 } as const
/** 2 × 2 GB provisioned concurrency. */
const warmUsdPerHour = 2 * 2 * 3600 * 3.3334e-6
const of = (deployment_type: string, deployer_state: Deployment['deployer_state']) =>
  standingCost({ deployment_type, deployer_state }, prices)

describe('standing cost', () => {
  it.each([
    ['provisioned concurrency', 'serverless', warm, warmUsdPerHour],
    ['the same on x86', 'serverless', { ...warm, architecture: 'x86_64' }, 2 * 2 * 3600 * 4.1667e-6],
    ['none provisioned', 'serverless', { ...warm, provisioned: 0 }, 0],
    ['processes of this machine', 'serverless', { folder: 'dep_1/1' }, 0],
    [
      'SageMaker instances',
      'sagemaker',
      { endpoint_mode: 'real_time', instance_type: 'ml.m5.large', instance_count: 3 },
      3 * 0.115,
    ],
    ['one asynchronous instance', 'sagemaker', { endpoint_mode: 'async', instance_type: 'ml.m5.large' }, 0.115],
    ['SageMaker serverless', 'sagemaker', { endpoint_mode: 'serverless', memory_mb: 2048 }, 0],
    ['the same, provisioned', 'sagemaker', { endpoint_mode: 'serverless', memory_mb: 2048, provisioned: 1 }, 1e-5 * 3600],
  ])('of %s', (_, type, state, usd) => {
    const cost = of(type, state)
    expect('unpriced' in cost ? Number.NaN : cost.usd_per_hour).toBeCloseTo(usd, 9)
    expect('unpriced' in cost ? '' : cost.basis).not.toBe('')
  })

  it.each([
    ['an instance type without a price', 'sagemaker', { endpoint_mode: 'real_time', instance_type: 'ml.zz9.large' }],
    ['an endpoint nobody recorded', 'sagemaker', {}],
    ['a type nobody knows', 'kubernetes', {}],
  ])('is unpriced, never 0, for %s', (_, type, state) => {
    expect(of(type, state)).toHaveProperty('unpriced')
  })

  it('is what sleeping saves, where there is one', () => {
    const now = new Date('2026-11-20T12:00:00Z')
    const awake = deploymentOf('dep_1')
    expect(decideIdleness(awake, undefined, now, 3.3334e-6, 0.46).saves_usd_per_hour).toBe(0.46)
    expect(decideIdleness(awake, undefined, now, 3.3334e-6, null).saves_usd_per_hour).toBeNull()
    expect(decideIdleness(awake, undefined, now, 3.3334e-6).saves_usd_per_hour).toBeCloseTo(2 * 3600 * 3.3334e-6, 9)
  })
})

const name = { organization_id: 'org_1', id: 'dep_1' }

const setUp = async (deployer_state: Deployment['deployer_state'] = warm) => {
  const app = analyticsApp('2026-11-20T00:00:00.000Z')
  const born = deploymentOf('dep_1', {
    status: 'creating',
    status_since: app.now().toISOString(),
    created_at: app.now().toISOString(),
  })
  await app.records.write([putDeployment(born, undefined, app.now())])
  const to = async (at: string, status: Deployment['status'], change: Partial<Deployment> = {}) => {
    app.clock.set(at)
    await changeDeployment(app, name, (current) => ({
      next: inState(app, current, { status, status_reason: null, transition: null, ...change }),
    }))
  }
  await to('2026-11-20T00:30:00.000Z', 'active', { deployer_state })
  const rows = async () =>
    (await readStandingRows(app.records, 'dep_1', 0, Date.UTC(2027, 0))).map(({ hour, awake_ms, cost }) => ({
      hour: hour.slice(11, 13),
      minutes: awake_ms / 60_000,
      cost: Number(cost) / 1e9,
    }))
  const accrueAt = (at: string) => {
    app.clock.set(at)
    return accrueStandingCosts(app)
  }
  return { app, to, rows, accrueAt }
}

describe('accruing standing costs', () => {
  it('writes one row per finished hour, in proportion to the minutes awake', async () => {
    const { rows, accrueAt } = await setUp()
    expect(await accrueAt('2026-11-20T01:01:00.000Z')).toMatchObject({ hours: 0 })
    expect(await accrueAt('2026-11-20T01:07:00.000Z')).toMatchObject({ deployments: 1, hours: 1 })
    expect(await accrueAt('2026-11-20T02:07:00.000Z')).toMatchObject({ hours: 1 })
    expect(await accrueAt('2026-11-20T02:37:00.000Z')).toMatchObject({ hours: 0 })
    const [first, second] = await rows()
    expect(first).toMatchObject({ hour: '00', minutes: 30 })
    expect(first?.cost).toBeCloseTo(warmUsdPerHour / 2, 9)
    expect(second).toMatchObject({ hour: '01', minutes: 60 })
    expect(second?.cost).toBeCloseTo(warmUsdPerHour, 9)
  })

  it('knows every sleep of an hour, also of deployments that are gone at its end', async () => {
    const { to, rows, accrueAt } = await setUp()
    await to('2026-11-20T01:10:00.000Z', 'hibernated')
    await to('2026-11-20T01:20:00.000Z', 'activating')
    await to('2026-11-20T01:21:00.000Z', 'active')
    await to('2026-11-20T01:45:00.000Z', 'hibernated')
    await to('2026-11-20T02:15:00.000Z', 'activating')
    await to('2026-11-20T02:16:00.000Z', 'active')
    await to('2026-11-20T02:26:00.000Z', 'deleted')
    await accrueAt('2026-11-20T05:07:00.000Z')
    expect((await rows()).map(({ hour, minutes }) => [hour, minutes])).toEqual([
      ['00', 30],
      ['01', 34],
      ['02', 10],
    ])
    expect(await accrueAt('2026-11-20T06:07:00.000Z')).toEqual({ deployments: 0, hours: 0, failed: 0 })
  })

  it('prices each part of an hour by what was provisioned then', async () => {
    const { to, rows, accrueAt } = await setUp()
    await to('2026-11-20T01:30:00.000Z', 'active', { deployer_state: { ...warm, provisioned: 6 } })
    await accrueAt('2026-11-20T02:07:00.000Z')
    expect((await rows())[1]?.cost).toBeCloseTo(warmUsdPerHour / 2 + (3 * warmUsdPerHour) / 2, 9)
  })

  it('catches up after an outage of three weeks, and repeats and overlaps change nothing', async () => {
    const { app, rows, accrueAt } = await setUp()
    await accrueAt('2026-11-20T01:07:00.000Z')
    app.clock.set('2026-12-11T00:30:00.000Z')
    const runs = await Promise.all([accrueStandingCosts(app), accrueStandingCosts(app), accrueStandingCosts(app)])
    expect(runs.every(({ failed }) => failed === 0)).toBe(true)
    await accrueStandingCosts(app)
    const all = await rows()
    expect(all).toHaveLength(21 * 24)
    expect(all.slice(1).every(({ minutes }) => minutes === 60)).toBe(true)
  })

  it('loses and doubles nothing when it dies between any two writes', async () => {
    const straight = await setUp()
    await straight.accrueAt('2026-11-22T12:07:00.000Z')
    const wanted = await straight.rows()
    for (let dies_after = 0; dies_after < 3; dies_after++) {
      const { app, rows } = await setUp()
      app.clock.set('2026-11-22T12:07:00.000Z')
      let writes = 0
      const mortal = {
        ...app,
        records: {
          ...app.records,
          write: (operations: Operation[]) =>
            writes++ < dies_after ? app.records.write(operations) : Promise.reject(new Error('killed')),
        },
      }
      expect((await accrueStandingCosts(mortal)).failed).toBe(1)
      expect((await accrueStandingCosts(app)).failed).toBe(0)
      expect(await rows()).toEqual(wanted)
    }
  })

  it('leaves deployments alone that cost nothing by the hour, and names what has no price', async () => {
    const nothing = await setUp({ folder: 'dep_1/1' })
    await nothing.accrueAt('2026-11-20T05:07:00.000Z')
    expect(await nothing.rows()).toEqual([])
    const unpriced = await setUp({ endpoint_mode: 'real_time', instance_type: 'ml.zz9.large' })
    await changeDeployment(unpriced.app, name, (current) => ({ next: { ...current, deployment_type: 'sagemaker' } }))
    await unpriced.accrueAt('2026-11-20T02:07:00.000Z')
    const report = await analyseCost(unpriced.app, viewer, {})
    expect(report.unpriced).toContainEqual({ deployment_id: 'dep_1', reason: expect.stringContaining('ml.zz9.large') })
    expect(report.cost_by_deployment).not.toHaveProperty('dep_1')
  })
})

describe('standing costs in the analyses', () => {
  it('are in the total once, with their basis, and in the forecast', async () => {
    const { app, accrueAt } = await setUp()
    await accrueAt('2026-11-20T12:07:00.000Z')
    const report = await analyseCost(app, viewer, {})
    expect(report.cost_breakdown.compute).toBeCloseTo(11.5 * warmUsdPerHour, 6)
    expect(report.basis.compute).toContain('2 × 2048 MB provisioned concurrency')
    expect(report.comparison.our_platform).toBe(report.total_cost)
    const forecast = await forecastUsage(app, viewer, { days: 2 })
    expect(forecast.forecast_by_deployment.dep_1?.cost_forecast[0]).toBeCloseTo(11.5 * warmUsdPerHour, 6)
  })

  it('make advice that can be counted: an idle instance against the same traffic on Lambda', async () => {
    const { app, accrueAt } = await setUp({ endpoint_mode: 'real_time', instance_type: 'ml.m5.large', instance_count: 1 })
    await changeDeployment(app, name, (current) => ({ next: { ...current, deployment_type: 'sagemaker' } }))
    await accrueAt('2026-11-22T12:07:00.000Z')
    const { suggestions_by_deployment } = await suggestChanges(app, viewer)
    const advice = suggestions_by_deployment.dep_1?.suggestions.find(({ type }) => type === 'migrate_to_serverless')
    expect(advice?.saves_usd_per_month).toBeGreaterThan(80)
    expect(advice?.saves_usd_per_month).toBeLessThan(84)
    expect(advice?.basis).toContain('what it costs now is $8')
    const { recommendations } = await analyseCost(app, viewer, {})
    expect(recommendations.find(({ type }) => type === 'scale_to_zero')?.basis).toContain('1 × ml.m5.large')
  })
})
