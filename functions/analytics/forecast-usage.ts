import { app } from '#app'
import { forecastUsage } from '../../layers/core/usecases/forecast-usage.ts'
import { route } from '../entry/http.ts'

export const handler = route('forecast-usage', async ({ query, principal }) => ({
  body: await forecastUsage(app, principal, query),
}))
