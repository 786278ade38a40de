import { app } from '#app'
import { updateDataset } from '../../layers/core/usecases/update-dataset.ts'
import { route } from '../entry/http.ts'

export const handler = route('update-dataset', async ({ params, body, principal }) => ({
  body: await updateDataset(app, principal, params.dataset_id, body),
}))
