import { app } from '#app'
import { releasePrices } from '../../layers/core/usecases/release-prices.ts'
import { route } from '../entry/http.ts'

export const handler = route('release-prices', async ({ principal, body }) => ({
  body: await releasePrices(app, principal, body),
}))
