import { app } from '#app'
import { optimizeModel } from '../../layers/core/usecases/optimize-model.ts'
import { route } from '../entry/http.ts'

export const handler = route('optimize-model', async ({ params, body, principal }) => ({
  body: await optimizeModel(app, principal, { ...body, model_id: params.model_id }),
}))
