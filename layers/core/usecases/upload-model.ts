import type { UploadForm, UploadReply } from '../contract/routes/models.ts'
import type { Principal } from '../domain/principal.ts'
import { modelUpload, uploadReply } from './model-upload.ts'
import { type ReadForm, receiveUpload } from './receive-upload.ts'
import type { UploadParts } from './upload-purpose.ts'

/** Upload a model in one form: see `receiveUpload`. */
export const uploadModel = async (app: UploadParts, principal: Principal, readForm: ReadForm<UploadForm>): Promise<UploadReply> =>
  uploadReply(await receiveUpload(app, modelUpload, principal, readForm))
