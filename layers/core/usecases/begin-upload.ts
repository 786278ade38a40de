import type { UploadInParts, UploadPlanReply } from '../contract/routes/models.ts'
import type { Principal } from '../domain/principal.ts'
import { modelUpload } from './model-upload.ts'
import { announceUpload } from './receive-upload.ts'
import type { UploadParts } from './upload-purpose.ts'

/** Announce a model's upload in parts: see `announceUpload`. */
export const beginUpload = async (app: UploadParts, principal: Principal, input: UploadInParts): Promise<UploadPlanReply> => {
  const { size_bytes, sha256, file_name, ...described } = input
  const { id, ...plan } = await announceUpload(app, modelUpload, principal, { size_bytes, sha256, file_name, described })
  return { model_id: id, ...plan }
}
