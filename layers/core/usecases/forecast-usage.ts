import type { Forecast } from '../domain/analytics.ts'
import { forecastReport } from '../domain/forecast-report.ts'
import { memberCost } from '../domain/member-cost.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { readCostedFleet } from './read-costed-fleet.ts'

/** Requests and cost of the coming `days`, one value a day and deployment, from the usage of a window. */
export const forecastUsage = async (
  app: Pick<App, 'records' | 'meter' | 'now' | 'prices'>,
  principal: Principal,
  query: { start_time?: string | undefined; end_time?: string | undefined; days: number },
): Promise<Forecast> => {
  const { now, window, members, storage } = await readCostedFleet(app, principal, query, 'day')
  const costs = members.map((member) => memberCost(member, { window, storage, prices: app.prices }))
  return forecastReport(costs, window, query.days, now, app.prices.version)
}
