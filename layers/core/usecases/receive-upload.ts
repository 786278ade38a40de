import { errorChain, PlatformError } from '../contract/errors.ts'
import type { JsonObject } from '../domain/json.ts'
import type { Principal } from '../domain/principal.ts'
import { baseName, type PendingUpload } from '../domain/upload.ts'
import type { ArtifactInfo, UploadPlan } from '../ports/artifacts.ts'
import { admitUpload, discardUpload, putPendingUpload } from './pending-uploads.ts'
import type { UploadParts, UploadPurpose } from './upload-purpose.ts'

/** Longer than any connection lives; a form whose host died is swept at that host's next start. */
const FORM_EXPIRES_MS = 24 * 3_600_000

export interface FormFile {
  file_name: string
  bytes: AsyncIterable<Uint8Array>
}

/** Reads a form to its end: hands over the file when it comes (before or after the fields), answers the fields, checked. */
export type ReadForm<Fields> = (receive: (file: FormFile) => Promise<void>) => Promise<Fields>

/**
 * Takes a file in one form.
 *
 * 1. Note the upload, stream the file into artifacts, hashing on the way (`payload_too_large` past the limit).
 * 2. Take the fields, which may come after the file.
 * 3. Look into the file, then record what it is.
 *
 * Whatever fails: no artifact, no record, nothing to sweep.
 */
export const receiveUpload = async <Described extends JsonObject, Document extends { status: string }>(
  app: UploadParts,
  purpose: UploadPurpose<Described, Document>,
  principal: Principal,
  readForm: ReadForm<Described>,
): Promise<Document> => {
  const received: { upload?: PendingUpload; info?: ArtifactInfo } = {}
  try {
    const form = await readForm(async (file) => {
      received.upload = formUpload(app, purpose, principal, file.file_name)
      await app.records.write([putPendingUpload(received.upload)])
      received.info = await app.artifacts.put(received.upload.storage_path, file.bytes, {
        max_bytes: app.config.max_upload_bytes,
      })
    })
    if (!received.upload || !received.info) throw new PlatformError('malformed_body', 'The form ended without its file')
    return await admitUpload(app, purpose, received.upload, form, received.info)
  } catch (error) {
    if (received.upload) await discard(app, received.upload)
    throw error
  }
}

type Named = Pick<UploadPurpose<JsonObject, { status: string }>, 'name' | 'id_prefix' | 'unnamed' | 'artifact'>

const newUpload = (
  app: UploadParts,
  purpose: Named,
  { organization_id }: Principal,
  claimed_name: string,
): Omit<PendingUpload, 'expires_at' | 'announced'> => {
  const id = app.newId(purpose.id_prefix)
  const file_name = baseName(claimed_name, purpose.unnamed)
  const storage_path = purpose.artifact(organization_id, id, file_name)
  return { id, purpose: purpose.name, organization_id, storage_path, file_name, created_at: app.now().toISOString() }
}

const formUpload = (app: UploadParts, purpose: Named, principal: Principal, claimed_name: string): PendingUpload => ({
  ...newUpload(app, purpose, principal, claimed_name),
  expires_at: new Date(app.now().getTime() + FORM_EXPIRES_MS).toISOString(),
  announced: null,
})

/** A failure to clean up must not hide why the upload failed; the sweep tries again. */
const discard = (app: UploadParts, upload: PendingUpload): Promise<void> =>
  discardUpload(app, upload).catch((error: unknown) =>
    app.log.warn('upload left for the sweep', { id: upload.id, cause: errorChain(error) }),
  )

/**
 * Announces an upload in parts.
 *
 * 1. Refuse what is over the limit before a byte moves (`payload_too_large`).
 * 2. Get the signed URLs from where the bytes will lie.
 * 3. Note the upload; until it is complete there is no document, and past `expires_at` the sweep removes what was sent.
 */
export const announceUpload = async (
  app: UploadParts,
  purpose: Named,
  principal: Principal,
  input: { size_bytes: number; sha256?: string | undefined; file_name?: string | undefined; described: JsonObject },
): Promise<Omit<UploadPlan, 'upload_id'> & { id: string }> => {
  const { max_upload_bytes } = app.config
  const { size_bytes, sha256 } = input
  if (size_bytes > max_upload_bytes) {
    throw new PlatformError('payload_too_large', `size_bytes is ${size_bytes}; wanted at most ${max_upload_bytes}`, {
      facts: { max_upload_bytes },
    })
  }
  const upload = newUpload(app, purpose, principal, input.file_name ?? '')
  const { upload_id, part_size, parts, expires_at } = await app.artifacts.beginUpload(upload.storage_path, size_bytes)
  const announced = { ...input.described, upload_id, size_bytes, ...(sha256 !== undefined && { sha256 }) }
  await app.records.write([putPendingUpload({ ...upload, expires_at, announced })])
  return { id: upload.id, part_size, parts, expires_at }
}
