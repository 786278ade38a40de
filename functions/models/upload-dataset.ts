import { app } from '#app'
import { DatasetInParts } from '../../layers/core/contract/routes/datasets.ts'
import { beginDatasetUpload, uploadDataset } from '../../layers/core/usecases/upload-dataset.ts'
import { jsonReply, stream } from '../entry/stream.ts'
import { byMediaType, readAnnouncement, readDatasetForm } from '../entry/upload.ts'

export const handler = stream('upload-dataset', async (call) =>
  jsonReply(
    await byMediaType<object>(call.headers, {
      'multipart/form-data': () =>
        uploadDataset(app, call.principal, (receive) => readDatasetForm(call, app.config.max_upload_bytes, receive)),
      'application/json': async () => beginDatasetUpload(app, call.principal, await readAnnouncement(call, DatasetInParts)),
    }),
  ),
)
