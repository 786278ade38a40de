import * as z from 'zod'
import { UploadForm, type UploadReply } from '../contract/routes/models.ts'
import { type Inspection, Model, ModelReply, modelArtifact } from '../domain/model.ts'
import type { PendingUpload } from '../domain/upload.ts'
import { modelKey } from './find-model.ts'
import type { UploadParts, UploadPurpose } from './upload-purpose.ts'

/** Uploads that become models: inspected against the declared framework, active from then on. */
export const modelUpload: UploadPurpose<UploadForm, Model> = {
  name: 'model',
  noun: 'Model',
  id_prefix: 'mod',
  unnamed: 'model',
  artifact: modelArtifact,
  key: modelKey,
  described: z.object(UploadForm.shape),
  document: Model,
  make: async (app, upload, described, info) => {
    const inspection = await inspectArtifact(app, upload, described.framework)
    const { id, organization_id, storage_path, file_name, created_at, announced } = upload
    return {
      ...{ id, organization_id, storage_path, file_name, created_at, ...described, ...info, inspection },
      status: 'active',
      updated_at: app.now().toISOString(),
      ...(announced && { upload_id: announced.upload_id }),
    }
  },
  put: (model) => ({ put: { ...modelKey(model.organization_id, model.id), body: model }, expect: 'absent' }),
}

const inspectArtifact = async (
  app: UploadParts,
  { storage_path, file_name }: PendingUpload,
  framework: Model['framework'],
): Promise<Inspection> => {
  const file = await app.artifacts.asFile(storage_path)
  try {
    return await app.inspector.inspect(file.path, { framework, file_name })
  } finally {
    await file.release()
  }
}

/** The reference's answer to an upload. */
export const uploadReply = (model: Model): UploadReply => {
  const { id, updated_at: _, metadata: __, file_name: ___, ...shown } = ModelReply.parse(model)
  return { model_id: id, ...shown }
}
