import { ageHours, listAgeHours } from '../domain/price-list.ts'
import type { App } from '../ports/app.ts'
import type { PriceSourceState } from '../ports/price-catalogue.ts'
import { catalogueOf } from './list-prices.ts'

/** One source's run, as the schedule's answer and log line tell it. A type, so that it is a JSON object. */
export type SourceRun = { source: string; skipped: boolean; accepted: number; held: number; failure: string | null }
export type RefreshRun = { version: string; price_age_hours: number | null; sources: SourceRun[] }

/**
 * Reads every source there is, one after another; one that fails leaves its last good list in force and does not stop the others.
 * A list that was read a short while ago (a host restarts) is not read again.
 * Logs `prices_held` when something waits for an operator, and the list's age as a metric (CloudWatch embedded metric format).
 */
export const refreshPrices = async (app: Pick<App, 'catalogue' | 'now' | 'log' | 'config'>): Promise<RefreshRun> => {
  const catalogue = catalogueOf(app)
  const runs: SourceRun[] = []
  const before = await catalogue.states()
  for (const source of catalogue.sources) {
    const skipped = isFresh(
      before.find(({ name }) => name === source.name),
      source.every_hours,
      app.now(),
    )
    const { accepted, held } = skipped ? { accepted: 0, held: 0 } : await catalogue.refresh(source)
    runs.push({ source: source.name, skipped, accepted, held, failure: null })
  }
  const states = await catalogue.states()
  const { version } = catalogue.book
  const sources = runs.map((run) => ({
    ...run,
    failure: states.find(({ name }) => name === run.source)?.failure?.reason ?? null,
  }))
  const held = await catalogue.held()
  if (held.length > 0)
    app.log.warn('prices_held', { count: held.length, skus: held.flatMap(({ prices }) => prices[0]?.sku ?? []) })
  const price_age_hours = listAgeHours(version, states, app.now())
  if (sources.length > 0 && price_age_hours !== null) app.log.info('price_age', ageMetric(app, price_age_hours))
  return { version, price_age_hours, sources }
}

/** Nine tenths of its interval, because a daily run does not begin at the same second as the day before. */
const isFresh = (state: PriceSourceState | undefined, every_hours: number, now: Date): boolean => {
  const age = ageHours(state?.fetched_at ?? null, now)
  return state?.failure === null && age !== null && age < every_hours * 0.9
}

/** Read by CloudWatch from the log line itself; one metric, whatever is deployed. */
const ageMetric = ({ config, now }: Pick<App, 'config' | 'now'>, price_age_hours: number): Record<string, unknown> => ({
  _aws: {
    Timestamp: now().getTime(),
    CloudWatchMetrics: [{ Namespace: 'AiDeploy', Dimensions: [['stage']], Metrics: [{ Name: 'PriceAgeHours', Unit: 'None' }] }],
  },
  stage: config.stage ?? 'embedded',
  PriceAgeHours: price_age_hours,
})
