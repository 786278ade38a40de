import { notFound } from '../contract/errors.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { catalogueOf } from './list-prices.ts'
import { requireOperator } from './may-administer.ts'

/** Operators accept prices that were held back; they are in force at once. Fails with `forbidden`, or `not_found` when none are held. */
export const releasePrices = async (
  app: Pick<App, 'records' | 'catalogue' | 'log'>,
  principal: Principal,
  { sku, region }: { sku: string; region: string },
): Promise<{ message: string }> => {
  await requireOperator(app, principal)
  if (!(await catalogueOf(app).release(sku, region))) throw notFound('Held price', `${sku} in ${region}`)
  app.log.info('price_released', { sku, region, principal: principal.id })
  return { message: `The prices of ${sku} in ${region} are in force` }
}
