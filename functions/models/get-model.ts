import { app } from '#app'
import { getModel } from '../../layers/core/usecases/get-model.ts'
import { route } from '../entry/http.ts'

export const handler = route('get-model', async ({ params, principal }) => ({
  body: await getModel(app, principal, params.model_id),
}))
