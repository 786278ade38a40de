import { app } from '#app'
import { checkHealth } from '../../layers/core/usecases/check-health.ts'
import { route } from '../entry/http.ts'

export const handler = route('get-health', async () => ({ body: await checkHealth(app) }))
