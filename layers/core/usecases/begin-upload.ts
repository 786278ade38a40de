import { PlatformError } from '../contract/errors.ts'
import type { UploadInParts, UploadPlanReply } from '../contract/routes/models.ts'
import { baseName, modelArtifact } from '../domain/model.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { putPendingUpload } from './pending-uploads.ts'

/**
 * Announce an upload in parts.
 *
 * 1. Refuse what is over the limit before a byte moves (`payload_too_large`).
 * 2. Get the signed URLs from where the bytes will lie.
 * 3. Note the upload; until it is complete there is no model, and past `expires_at` the sweep removes what was sent.
 */
export const beginUpload = async (
  app: Pick<App, 'records' | 'artifacts' | 'config' | 'now' | 'newId'>,
  principal: Principal,
  input: UploadInParts,
): Promise<UploadPlanReply> => {
  const { max_upload_bytes } = app.config
  const { file_name: claimed_name, ...described } = input
  if (input.size_bytes > max_upload_bytes) {
    throw new PlatformError('payload_too_large', `size_bytes is ${input.size_bytes}; wanted at most ${max_upload_bytes}`, {
      facts: { max_upload_bytes },
    })
  }
  const id = app.newId('mod')
  const { organization_id } = principal
  const file_name = baseName(claimed_name ?? '')
  const storage_path = modelArtifact(organization_id, id, file_name)
  const { upload_id, part_size, parts, expires_at } = await app.artifacts.beginUpload(storage_path, input.size_bytes)
  const announced = { upload_id, ...described }
  await app.records.write([
    putPendingUpload({
      id,
      organization_id,
      storage_path,
      file_name,
      created_at: app.now().toISOString(),
      expires_at,
      announced,
    }),
  ])
  return { model_id: id, part_size, parts, expires_at }
}
