import { app } from '#app'
import { completeUpload } from '../../layers/core/usecases/complete-upload.ts'
import { route } from '../entry/http.ts'

export const handler = route('complete-upload', async ({ params, body, principal }) => ({
  body: await completeUpload(app, principal, params.model_id, body.parts),
}))
