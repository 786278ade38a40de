import { schedules } from '../contract/schedules.ts'
import type { CostAnalysis } from '../domain/analytics.ts'
import { hoursPerMonth } from '../domain/comparison.ts'
import { lengthHours, optimizationCost, type Span } from '../domain/cost-analysis.ts'
import { costReport } from '../domain/cost-report.ts'
import { priceListName } from '../domain/fleet.ts'
import { type NanoUsd, usdFrom } from '../domain/money.ts'
import type { OptimizedModel } from '../domain/optimization.ts'
import type { PriceBook } from '../domain/price.ts'
import type { Principal } from '../domain/principal.ts'
import { Organization } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import { organizationDocument } from './organization-records.ts'
import { readCostedFleet } from './read-costed-fleet.ts'

type Parts = Pick<App, 'records' | 'meter' | 'now' | 'prices'>

/**
 * 1. Settles the window and reads the usage of every deployment in it, costed when it happened.
 * 2. Adds what is computed now: storage of model files, instances kept warm.
 * 3. Compares with always-on endpoints and recommends.
 */
export const analyseCost = async (
  app: Parts,
  principal: Principal,
  query: { start_time?: string | undefined; end_time?: string | undefined },
): Promise<CostAnalysis> => {
  const { now, window, members, optimizations, storage } = await readCostedFleet(app, principal, query, 'hour')
  const other_costs = [
    ...(storage ? [storageLine(storage.undeployed, app.prices)] : []),
    ...optimizationLine(optimizations, window, app.prices),
    platformLine(window, await organizationMadeAt(app, principal.organization_id)),
  ]
  return costReport({ window, now, members, storage, other_costs, prices: app.prices })
}

type Line = CostAnalysis['other_costs'][number]

const storageLine = (undeployed: NanoUsd, prices: PriceBook): Line => ({
  type: 'model_storage',
  amount_usd: usdFrom(undeployed),
  basis: `S3 Standard us-east-1, ${priceListName(prices.version)}: model files while no deployment used them`,
})

const optimizationLine = (optimizations: readonly OptimizedModel[], window: Span, prices: PriceBook): Line[] => {
  const inside = optimizations.filter(
    ({ created_at }) => Date.parse(created_at) >= window.from_ms && Date.parse(created_at) < window.to_ms,
  )
  const compute_s = inside.reduce((sum, optimization) => sum + optimization.compute_seconds, 0)
  const cost = optimizationCost(compute_s, prices)
  const basis = `${Math.round(compute_s)} s of ${inside.length} optimisations at 8 GB as AWS Lambda arm64 GB-seconds, ${priceListName(prices.version)}`
  return cost === undefined ? [] : [{ type: 'optimization', amount_usd: usdFrom(cost), basis }]
}

/** The platform's own schedules, whole, since the organisation exists: they serve all organisations and are not shared out. */
const platformLine = (window: Span, made_at_ms: number): Line => {
  const usd_per_month = Object.values(schedules).reduce((sum, schedule) => sum + schedule.cost_at_rest.usd_per_month, 0)
  const parts = Object.values(schedules).map(({ id, cost_at_rest }) => `${id} $${cost_at_rest.usd_per_month}`)
  const basis = `$${usd_per_month.toFixed(2)} a month at rest, at the list price of its runs while nothing is deployed: ${parts.join(', ')}; e.g. roll-up-usage: ${schedules['roll-up-usage'].cost_at_rest.basis}`
  const hours = Math.max(0, lengthHours({ ...window, from_ms: Math.max(window.from_ms, made_at_ms) }))
  return { type: 'platform', amount_usd: Math.round(((usd_per_month * hours) / hoursPerMonth) * 1e9) / 1e9, basis }
}

const organizationMadeAt = async (app: Parts, organization_id: string): Promise<number> => {
  const stored = await app.records.get(organizationDocument(organization_id))
  return stored === undefined ? 0 : Date.parse(Organization.parse(stored.body).created_at)
}
