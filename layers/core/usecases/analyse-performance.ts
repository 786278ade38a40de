import type { PerformanceAnalysis } from '../domain/analytics.ts'
import { performanceReport } from '../domain/performance-report.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { analyticsWindow } from './analytics-window.ts'
import { readFleet } from './read-fleet.ts'

/** Requests, latency and errors of every deployment in a window, and the hours that stand out from its own history. */
export const analysePerformance = async (
  app: Pick<App, 'records' | 'meter' | 'now'>,
  principal: Principal,
  query: { start_time?: string | undefined; end_time?: string | undefined },
): Promise<PerformanceAnalysis> => {
  const now = app.now()
  const window = analyticsWindow(query, now)
  return performanceReport(await readFleet(app, principal.organization_id, window, 'hour'), window, now)
}
