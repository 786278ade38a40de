import { errorChain, PlatformError } from '../contract/errors.ts'
import type { UploadForm, UploadReply } from '../contract/routes/models.ts'
import { baseName, modelArtifact, type PendingUpload } from '../domain/model.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import type { ArtifactInfo } from '../ports/artifacts.ts'
import { admitModel, discardUpload, putPendingUpload, uploadReply } from './pending-uploads.ts'

/** Longer than any connection lives; a form whose host died is swept at that host's next start. */
const FORM_EXPIRES_MS = 24 * 3_600_000

export interface FormFile {
  file_name: string
  bytes: AsyncIterable<Uint8Array>
}

/** Reads a form to its end: hands over the file when it comes (before or after the fields), answers the fields, checked. */
export type ReadForm = (receive: (file: FormFile) => Promise<void>) => Promise<UploadForm>

type Parts = Pick<App, 'records' | 'artifacts' | 'inspector' | 'config' | 'now' | 'newId' | 'log'>

/**
 * Upload a model in one form.
 *
 * 1. Note the upload, stream the file into artifacts, hashing on the way (`payload_too_large` past the limit).
 * 2. Take the fields, which may come after the file.
 * 3. Inspect, then record the model as active.
 *
 * Whatever fails: no artifact, no record, nothing to sweep.
 */
export const uploadModel = async (app: Parts, principal: Principal, readForm: ReadForm): Promise<UploadReply> => {
  const received: { upload?: PendingUpload; info?: ArtifactInfo } = {}
  try {
    const form = await readForm(async (file) => {
      received.upload = newUpload(app, principal, file.file_name)
      await app.records.write([putPendingUpload(received.upload)])
      received.info = await app.artifacts.put(received.upload.storage_path, file.bytes, {
        max_bytes: app.config.max_upload_bytes,
      })
    })
    if (!received.upload || !received.info) throw new PlatformError('malformed_body', 'The form ended without its file')
    return uploadReply(await admitModel(app, received.upload, form, received.info))
  } catch (error) {
    if (received.upload) await discard(app, received.upload)
    throw error
  }
}

const newUpload = (app: Parts, principal: Principal, claimed_name: string): PendingUpload => {
  const id = app.newId('mod')
  const file_name = baseName(claimed_name)
  const { organization_id } = principal
  const now = app.now()
  const expires_at = new Date(now.getTime() + FORM_EXPIRES_MS).toISOString()
  const storage_path = modelArtifact(organization_id, id, file_name)
  return { id, organization_id, storage_path, file_name, created_at: now.toISOString(), expires_at, announced: null }
}

/** A failure to clean up must not hide why the upload failed; the sweep tries again. */
const discard = (app: Parts, upload: PendingUpload): Promise<void> =>
  discardUpload(app, upload).catch((error: unknown) =>
    app.log.warn('upload left for the sweep', { model_id: upload.id, cause: errorChain(error) }),
  )
