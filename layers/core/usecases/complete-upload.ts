import type { UploadReply } from '../contract/routes/models.ts'
import type { Principal } from '../domain/principal.ts'
import type { UploadedPart } from '../ports/artifacts.ts'
import { joinUpload } from './join-upload.ts'
import { modelUpload, uploadReply } from './model-upload.ts'
import type { UploadParts } from './upload-purpose.ts'

/** Join the parts of a model's upload: see `joinUpload`. */
export const completeUpload = async (
  app: UploadParts,
  principal: Principal,
  model_id: string,
  parts: UploadedPart[],
): Promise<UploadReply> => uploadReply(await joinUpload(app, modelUpload, principal, { id: model_id, parts }))
