import { app } from '#app'
import { getDataset } from '../../layers/core/usecases/get-dataset.ts'
import { route } from '../entry/http.ts'

export const handler = route('get-dataset', async ({ params, principal }) => ({
  body: await getDataset(app, principal, params.dataset_id),
}))
