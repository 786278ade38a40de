import { type Span, storageCosts } from '../domain/cost-analysis.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { analyticsWindow } from './analytics-window.ts'
import { readFleet } from './read-fleet.ts'
import { readOptimizations, readStoredModels, usesOf } from './stored-models.ts'

/**
 * What every cost question starts from: the settled window, the usage of every deployment in it by hour or day, the organisation's
 * optimisations, and what storing its model files costs. Fails with `invalid_request` for a window that makes no sense.
 */
export const readCostedFleet = async (
  app: Pick<App, 'records' | 'meter' | 'now' | 'prices'>,
  { organization_id }: Pick<Principal, 'organization_id'>,
  query: { start_time?: string | undefined; end_time?: string | undefined },
  grain: 'hour' | 'day',
) => {
  const now = app.now()
  const window: Span = analyticsWindow(query, now)
  const members = await readFleet(app, organization_id, window, grain)
  const optimizations = await readOptimizations(app, organization_id)
  const models = await readStoredModels(app, organization_id, optimizations, now)
  const storage = storageCosts(models, usesOf(members), window, app.prices)
  return { now, window, members, optimizations, storage }
}
