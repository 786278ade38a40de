import { describe, expect, it } from 'vitest'
import { Forecast } from '../../../layers/core/domain/analytics.ts'
import { forecastUsage } from '../../../layers/core/usecases/forecast-usage.ts'
import { analyticsApp, deploymentOf, modelOf, store, viewer } from '../../support/fleet.ts'
import { sampleAt } from '../../support/usage.ts'

const at = (day: number, hour = 0) => Date.UTC(2026, 10, day, hour)

describe('usage forecast', () => {
  it('gives one value a day whose sums are the totals, and the daily average as current', async () => {
    const app = analyticsApp('2026-11-20T00:00:00.000Z')
    await store(
      app.records,
      'deployment',
      deploymentOf('dep_1', { created_at: '2026-11-10T00:00:00Z' }),
      deploymentOf('dep_2', { created_at: '2026-11-10T00:00:00Z' }),
    )
    await store(app.records, 'model', modelOf('mod_1'))
    for (let day = 10; day < 20; day++) {
      for (let n = 0; n < 6; n++) app.meter.record(sampleAt(at(day, n)))
      app.meter.record(sampleAt(at(day), { deployment_id: 'dep_2' }))
    }
    await app.meter.flush()
    await app.rollUp()
    const forecast = Forecast.parse(await forecastUsage(app, viewer, { days: 12 }))
    expect(forecast.days).toBe(12)
    const { dep_1, dep_2 } = forecast.forecast_by_deployment
    expect(dep_1).toMatchObject({ deployment_name: 'dep_1-name', current_requests: 6 })
    expect(dep_1?.requests_forecast).toEqual(Array(12).fill(6))
    expect(dep_2?.requests_forecast).toEqual(Array(12).fill(1))
    expect(forecast.total_requests_forecast).toEqual(Array(12).fill(7))
    const perDay = 6 * (0.01 * 2 * 0.0000133334 + 2e-7 + (1000 / 2 ** 30) * 0.09) + (0.023 * 24) / 730 / 2
    expect(dep_1?.current_cost).toBeCloseTo(perDay, 7)
    expect(dep_1?.cost_forecast[11]).toBeCloseTo(perDay, 7)
    expect(forecast.total_cost_forecast[0]).toBeCloseTo((dep_1?.cost_forecast[0] ?? 0) + (dep_2?.cost_forecast[0] ?? 0), 9)
  })

  it('leaves a day that is not over out of the history', async () => {
    const app = analyticsApp('2026-11-20T01:00:00.000Z')
    await store(app.records, 'deployment', deploymentOf('dep_1', { created_at: '2026-11-18T00:00:00Z' }))
    for (const day of [18, 19]) for (let n = 0; n < 10; n++) app.meter.record(sampleAt(at(day, 2 * n)))
    app.meter.record(sampleAt(at(20)))
    const { dep_1 } = (await forecastUsage(app, viewer, { days: 2 })).forecast_by_deployment
    expect(dep_1?.requests_forecast).toEqual([10, 10])
    expect(dep_1?.basis).toContain('mean of 2 days of history')
  })

  it('takes what is younger than a day as one day and says so; knows nothing of deleted or foreign deployments', async () => {
    const app = analyticsApp('2026-11-20T12:00:00.000Z')
    const deleted = deploymentOf('dep_old', { status: 'deleted', status_since: '2026-11-12T00:00:00Z' })
    await store(
      app.records,
      'deployment',
      deploymentOf('dep_1', { created_at: '2026-11-20T06:00:00Z' }),
      deleted,
      deploymentOf('dep_x', { organization_id: 'org_2' }),
    )
    for (let n = 0; n < 5; n++) app.meter.record(sampleAt(at(20, 7) + n * 1000))
    const forecast = await forecastUsage(app, viewer, { days: 1 })
    expect(Object.keys(forecast.forecast_by_deployment)).toEqual(['dep_1'])
    expect(forecast.forecast_by_deployment.dep_1).toMatchObject({
      current_requests: 5,
      requests_forecast: [5],
      basis: expect.stringContaining('taken as a day'),
    })
  })

  it('forecasts nothing for an empty organisation', async () => {
    expect(await forecastUsage(analyticsApp(), viewer, { days: 3 })).toMatchObject({
      total_requests_forecast: [0, 0, 0],
      total_cost_forecast: [0, 0, 0],
      forecast_by_deployment: {},
    })
  })
})
