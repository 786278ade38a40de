import { app } from '#app'
import { deleteDataset } from '../../layers/core/usecases/delete-dataset.ts'
import { route } from '../entry/http.ts'

export const handler = route('delete-dataset', async ({ params, principal }) => ({
  body: await deleteDataset(app, principal, params.dataset_id),
}))
