import { app } from '#app'
import { listOptimizedModels } from '../../layers/core/usecases/list-optimized-models.ts'
import { route } from '../entry/http.ts'

export const handler = route('list-optimized-models', ({ params, query, principal }) =>
  listOptimizedModels(app, principal, { model_id: params.model_id, query }),
)
