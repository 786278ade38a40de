import { app } from '#app'
import { putUploadPart } from '../../layers/core/usecases/put-upload-part.ts'
import { jsonReply, stream } from '../entry/stream.ts'

export const handler = stream('put-upload-part', async ({ params, query, body }) => {
  const stored = await putUploadPart(app, { ...params, ...query }, body)
  return jsonReply(stored, { etag: stored.etag })
})
