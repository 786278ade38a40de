import { app } from '#app'
import { refreshPrices } from '../../layers/core/usecases/refresh-prices.ts'

export const run = () => refreshPrices(app)
