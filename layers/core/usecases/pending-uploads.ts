import { isPlatformError, PlatformError } from '../contract/errors.ts'
import type { JsonObject } from '../domain/json.ts'
import { PendingUpload } from '../domain/upload.ts'
import type { App } from '../ports/app.ts'
import type { ArtifactInfo } from '../ports/artifacts.ts'
import type { Operation } from '../ports/records.ts'
import { countChange } from './count-by-status.ts'
import { datasetKey } from './dataset-records.ts'
import { modelKey, uploadKey } from './find-model.ts'
import { retryConflicts } from './retry-conflicts.ts'
import type { UploadParts, UploadPurpose } from './upload-purpose.ts'

export const PENDING_UPLOADS = 'uploads#pending'

type Store = Pick<App, 'records' | 'artifacts'>

/** Notes an upload before its first byte is stored, so that the sweep finds whatever a crash leaves behind. */
export const putPendingUpload = (upload: PendingUpload, expect: 'absent' | { version: string } = 'absent'): Operation => ({
  put: {
    ...uploadKey(upload.organization_id, upload.id),
    body: upload,
    worklist: { pk: PENDING_UPLOADS, sk: `${upload.expires_at}#${upload.id}` },
  },
  expect,
})

/**
 * Removes what an upload left, unless it became what it was for meanwhile. Primary course: its note says `given_up`, so that it can become
 * nothing any more; then the bytes go, and the note last: a crash in between is swept.
 */
export const discardUpload = async (app: Store, upload: PendingUpload): Promise<void> => {
  if (!(await giveUp(app, upload))) return
  if (upload.announced) await app.artifacts.abortUpload(upload.storage_path, upload.announced.upload_id)
  await app.artifacts.remove(upload.storage_path)
  await app.records.write([{ remove: uploadKey(upload.organization_id, upload.id), expect: 'any' }])
}

const keyOf = { model: modelKey, dataset: datasetKey }

/** False when it has become a model or dataset by now, whose bytes must stay. */
const giveUp = async (app: Store, { organization_id, id, purpose }: PendingUpload): Promise<boolean> => {
  const given_up = retryConflicts(async () => {
    const stored = await app.records.get(uploadKey(organization_id, id))
    if (!stored) return (await app.records.get(keyOf[purpose](organization_id, id))) === undefined
    const upload = PendingUpload.parse(stored.body)
    if (!upload.given_up) await app.records.write([putPendingUpload({ ...upload, given_up: true }, { version: stored.version })])
    return true
  })
  return given_up.catch((error: unknown) => {
    // Removing bytes is what helps a full disk, and on one no upload becomes anything either.
    if (isPlatformError(error, 'storage_full')) return true
    throw error
  })
}

/**
 * Makes stored bytes what they were sent for.
 *
 * 1. Looks into the file; `invalid_model` or `invalid_request` when it is not what it says.
 * 2. In one transaction: the note of the upload goes, the document comes, the count changes.
 *
 * Leaves nothing behind when the file is refused; the bytes stay when only the write failed, for a repeat.
 */
export const admitUpload = async <Described extends JsonObject, Document extends { status: string }>(
  app: UploadParts,
  purpose: UploadPurpose<Described, Document>,
  upload: PendingUpload,
  described: Described,
  info: ArtifactInfo,
): Promise<Document> => {
  const document = await made(app, purpose, upload, described, info)
  const { id, organization_id } = upload
  await retryConflicts(async () => {
    const pending = await app.records.get(uploadKey(organization_id, id))
    if (!pending || PendingUpload.parse(pending.body).given_up)
      throw new PlatformError('upload_incomplete', `The upload of ${purpose.name} ${id} ended before it was complete`)
    await app.records.write([
      { remove: uploadKey(organization_id, id), expect: { version: pending.version } },
      purpose.put(document),
      ...(await countChange(app, { organization_id, kind: purpose.name, id, to: document.status })),
    ])
  })
  return document
}

const made = async <Described extends JsonObject, Document extends { status: string }>(
  app: UploadParts,
  purpose: UploadPurpose<Described, Document>,
  upload: PendingUpload,
  described: Described,
  info: ArtifactInfo,
): Promise<Document> => {
  try {
    return await purpose.make(app, upload, described, info)
  } catch (error) {
    if (isPlatformError(error, 'invalid_model') || isPlatformError(error, 'invalid_request')) await discardUpload(app, upload)
    throw error
  }
}
