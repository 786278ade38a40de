import { app } from '#app'
import { UploadInParts } from '../../layers/core/contract/routes/models.ts'
import { beginUpload } from '../../layers/core/usecases/begin-upload.ts'
import { uploadModel } from '../../layers/core/usecases/upload-model.ts'
import { jsonReply, stream } from '../entry/stream.ts'
import { byMediaType, readAnnouncement, readUploadForm } from '../entry/upload.ts'

export const handler = stream('upload-model', async (call) =>
  jsonReply(
    await byMediaType<object>(call.headers, {
      'multipart/form-data': () =>
        uploadModel(app, call.principal, (receive) => readUploadForm(call, app.config.max_upload_bytes, receive)),
      'application/json': async () => beginUpload(app, call.principal, await readAnnouncement(call, UploadInParts)),
    }),
  ),
)
