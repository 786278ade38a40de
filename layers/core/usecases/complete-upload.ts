import { isPlatformError, notFound, PlatformError } from '../contract/errors.ts'
import type { UploadReply } from '../contract/routes/models.ts'
import { Model, PendingUpload } from '../domain/model.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import type { ArtifactInfo, UploadedPart } from '../ports/artifacts.ts'
import { modelKey, uploadKey } from './find-model.ts'
import { admitModel, uploadReply } from './pending-uploads.ts'

type Parts = Pick<App, 'records' | 'artifacts' | 'inspector' | 'now'>
type Announced = NonNullable<PendingUpload['announced']>

/**
 * Join the parts of an upload.
 *
 * 1. A repeat after success answers as the first time.
 * 2. Join, checking size and sha256 (`upload_incomplete` names the missing or differing part; the upload stays open).
 * 3. Inspect and record, as with a form. A file that is refused ends the upload.
 *
 * Fails with `not_found` for an upload that never was, expired, or belongs to somebody else.
 */
export const completeUpload = async (
  app: Parts,
  principal: Principal,
  model_id: string,
  parts: UploadedPart[],
): Promise<UploadReply> => {
  const { organization_id } = principal
  const before = await completed(app, organization_id, model_id)
  if (before) return uploadReply(before)
  const upload = await openUpload(app, organization_id, model_id)
  refuseRepeatedParts(parts)
  try {
    const info = await join(app, upload, upload.announced, parts)
    const { name, framework, version, metadata } = upload.announced
    return uploadReply(await admitModel(app, upload, { name, framework, version, metadata }, info))
  } catch (error) {
    // Somebody else may have completed it meanwhile: then the parts are gone, and the answer is theirs.
    const meanwhile = isPlatformError(error) ? await completed(app, organization_id, model_id) : undefined
    if (meanwhile) return uploadReply(meanwhile)
    throw error
  }
}

const completed = async (app: Parts, organization_id: string, model_id: string): Promise<Model | undefined> => {
  const stored = await app.records.get(modelKey(organization_id, model_id))
  const model = stored && Model.parse(stored.body)
  if (model && model.upload_id === undefined)
    throw new PlatformError('conflict', `Model ${model_id} was uploaded in one piece; there are no parts to join`)
  return model
}

const openUpload = async (
  app: Parts,
  organization_id: string,
  model_id: string,
): Promise<PendingUpload & { announced: Announced }> => {
  const stored = await app.records.get(uploadKey(organization_id, model_id))
  const upload = stored && PendingUpload.parse(stored.body)
  if (!upload?.announced || upload.given_up || upload.expires_at <= app.now().toISOString()) throw notFound('Model', model_id)
  return { ...upload, announced: upload.announced }
}

const refuseRepeatedParts = (parts: UploadedPart[]): void => {
  const seen = new Set<number>()
  const repeated = parts.find(({ number }) => seen.size === seen.add(number).size)
  if (!repeated) return
  throw new PlatformError('invalid_request', `Part ${repeated.number} stands more than once; wanted every part once`, {
    errors: [{ pointer: '/parts', detail: `part ${repeated.number} stands more than once` }],
  })
}

/** A crash right after joining leaves the whole file and no parts: it is read through once more for its hash. */
const join = async (app: Parts, upload: PendingUpload, announced: Announced, parts: UploadedPart[]): Promise<ArtifactInfo> => {
  const { size_bytes, sha256 } = announced
  const expected = { size_bytes, ...(sha256 !== undefined && { sha256 }) }
  const joined = await app.artifacts.stat(upload.storage_path)
  if (joined?.size_bytes === size_bytes)
    return app.artifacts.put(upload.storage_path, await app.artifacts.read(upload.storage_path), expected)
  return app.artifacts.completeUpload(upload.storage_path, announced.upload_id, parts, expected)
}
