import { app } from '#app'
import { route } from '../entry/http.ts'

export const handler = route('get-optimized-model', async ({ params, principal }) => {
  // Loaded here: what it decides by is a weight that the other routes of its function need not carry.
  const { getOptimizedModel } = await import('../../layers/core/usecases/get-optimized-model.ts')
  return { body: await getOptimizedModel(app, principal, params) }
})
