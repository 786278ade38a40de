import { app } from '#app'
import { deleteModel } from '../../layers/core/usecases/delete-model.ts'
import { route } from '../entry/http.ts'

export const handler = route('delete-model', async ({ params, principal }) => ({
  body: await deleteModel(app, principal, params.model_id),
}))
