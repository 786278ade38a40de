import type { Forecast } from '../domain/analytics.ts'
import { storageCosts } from '../domain/cost-analysis.ts'
import { forecastReport } from '../domain/forecast-report.ts'
import { memberCost } from '../domain/member-cost.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { analyticsWindow } from './analytics-window.ts'
import { readFleet } from './read-fleet.ts'
import { readOptimizations, readStoredModels, usesOf } from './stored-models.ts'

/** Requests and cost of the coming `days`, one value a day and deployment, from the usage of a window. */
export const forecastUsage = async (
  app: Pick<App, 'records' | 'meter' | 'now' | 'prices'>,
  principal: Principal,
  query: { start_time?: string | undefined; end_time?: string | undefined; days: number },
): Promise<Forecast> => {
  const now = app.now()
  const window = analyticsWindow(query, now)
  const members = await readFleet(app, principal.organization_id, window, 'day')
  const optimizations = await readOptimizations(app, principal.organization_id)
  const models = await readStoredModels(app, principal.organization_id, optimizations, now)
  const storage = storageCosts(models, usesOf(members), window, app.prices)
  const costs = members.map((member) => memberCost(member, { window, storage, prices: app.prices }))
  return forecastReport(costs, window, query.days, now, app.prices.version)
}
