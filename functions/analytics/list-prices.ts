import { app } from '#app'
import { listPrices } from '../../layers/core/usecases/list-prices.ts'
import { route } from '../entry/http.ts'

export const handler = route('list-prices', async () => ({ body: await listPrices(app) }))
