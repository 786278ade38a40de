import { app } from '#app'
import { analysePerformance } from '../../layers/core/usecases/analyse-performance.ts'
import { route } from '../entry/http.ts'

export const handler = route('analyse-performance', async ({ query, principal }) => ({
  body: await analysePerformance(app, principal, query),
}))
