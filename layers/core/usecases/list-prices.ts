import { PlatformError } from '../contract/errors.ts'
import { ageHours, listAgeHours, type PriceList } from '../domain/price-list.ts'
import type { App } from '../ports/app.ts'
import type { PriceCatalogue } from '../ports/price-catalogue.ts'

/** The catalogue behind the price book. Fails with `port_unavailable` where the list is a fixed one. */
export const catalogueOf = ({ catalogue }: Pick<App, 'catalogue'>): PriceCatalogue => {
  if (catalogue) return catalogue
  throw new PlatformError('port_unavailable', 'The price list of this composition is a fixed one; it has no sources')
}

/** The price list in force: version, sources with their age, and the prices that wait for an operator. */
export const listPrices = async (app: Pick<App, 'catalogue' | 'now'>): Promise<PriceList> => {
  const catalogue = catalogueOf(app)
  const now = app.now()
  const [states, held] = await Promise.all([catalogue.states(), catalogue.held()])
  return {
    version: catalogue.book.version,
    age_hours: listAgeHours(catalogue.book.version, states, now),
    sources: states.map((state) => ({ ...state, age_hours: ageHours(state.fetched_at, now) })),
    held: held.flatMap(({ source, reason, since, prices }) => {
      const [first] = prices
      return first ? [{ sku: first.sku, region: first.region, source, reason, since, prices }] : []
    }),
  }
}
