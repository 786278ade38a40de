import { app } from '#app'
import { route } from '../entry/http.ts'

export const handler = route('cancel-optimization', async ({ params, principal }) => {
  // Loaded here: what it decides by is a weight that the other routes of its function need not carry.
  const { cancelOptimization } = await import('../../layers/core/usecases/cancel-optimization.ts')
  return { body: await cancelOptimization(app, principal, params) }
})
