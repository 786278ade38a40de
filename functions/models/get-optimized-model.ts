import { app } from '#app'
import { getOptimizedModel } from '../../layers/core/usecases/get-optimized-model.ts'
import { route } from '../entry/http.ts'

export const handler = route('get-optimized-model', async ({ params, principal }) => ({
  body: await getOptimizedModel(app, principal, params),
}))
