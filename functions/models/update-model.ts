import { app } from '#app'
import { updateModel } from '../../layers/core/usecases/update-model.ts'
import { route } from '../entry/http.ts'

export const handler = route('update-model', async ({ params, body, principal }) => ({
  body: await updateModel(app, principal, params.model_id, body),
}))
