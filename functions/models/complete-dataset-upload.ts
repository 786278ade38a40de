import { app } from '#app'
import { completeDatasetUpload } from '../../layers/core/usecases/complete-dataset-upload.ts'
import { route } from '../entry/http.ts'

export const handler = route('complete-dataset-upload', async ({ params, body, principal }) => ({
  body: await completeDatasetUpload(app, principal, params.dataset_id, body.parts),
}))
