import { app } from '#app'
import { analyseCost } from '../../layers/core/usecases/analyse-cost.ts'
import { route } from '../entry/http.ts'

export const handler = route('analyse-cost', async ({ query, principal }) => ({ body: await analyseCost(app, principal, query) }))
