import { isPlatformError, notFound, PlatformError } from '../contract/errors.ts'
import type { JsonObject } from '../domain/json.ts'
import type { Principal } from '../domain/principal.ts'
import { PendingUpload } from '../domain/upload.ts'
import type { ArtifactInfo, UploadedPart } from '../ports/artifacts.ts'
import { uploadKey } from './find-model.ts'
import { admitUpload } from './pending-uploads.ts'
import type { UploadParts, UploadPurpose } from './upload-purpose.ts'

type Announced = NonNullable<PendingUpload['announced']>
type Recorded = { status: string; upload_id?: string | undefined }

/**
 * Joins the parts of an upload.
 *
 * 1. A repeat after success answers as the first time.
 * 2. Join, checking size and sha256 (`upload_incomplete` names the missing or differing part; the upload stays open).
 * 3. Look into the file and record it, as with a form. A file that is refused ends the upload.
 *
 * Fails with `not_found` for an upload that never was, expired, or belongs to somebody else.
 */
export const joinUpload = async <Described extends JsonObject, Document extends Recorded>(
  app: UploadParts,
  purpose: UploadPurpose<Described, Document>,
  { organization_id }: Principal,
  { id, parts }: { id: string; parts: UploadedPart[] },
): Promise<Document> => {
  const before = await completed(app, purpose, organization_id, id)
  if (before) return before
  const upload = await openUpload(app, purpose, organization_id, id)
  refuseRepeatedParts(parts)
  try {
    const info = await join(app, upload, upload.announced, parts)
    return await admitUpload(app, purpose, upload, purpose.described.parse(upload.announced), info)
  } catch (error) {
    // Somebody else may have completed it meanwhile: then the parts are gone, and the answer is theirs.
    const meanwhile = isPlatformError(error) ? await completed(app, purpose, organization_id, id) : undefined
    if (meanwhile) return meanwhile
    throw error
  }
}

const completed = async <Described extends JsonObject, Document extends Recorded>(
  app: UploadParts,
  { noun, key, document }: UploadPurpose<Described, Document>,
  organization_id: string,
  id: string,
): Promise<Document | undefined> => {
  const stored = await app.records.get(key(organization_id, id))
  const found = stored && document.parse(stored.body)
  if (found && found.upload_id === undefined)
    throw new PlatformError('conflict', `${noun} ${id} was uploaded in one piece; there are no parts to join`)
  return found
}

const openUpload = async (
  app: UploadParts,
  { name, noun }: { name: PendingUpload['purpose']; noun: string },
  organization_id: string,
  id: string,
): Promise<PendingUpload & { announced: Announced }> => {
  const stored = await app.records.get(uploadKey(organization_id, id))
  const upload = stored && PendingUpload.parse(stored.body)
  const open = upload && upload.purpose === name && !upload.given_up && upload.expires_at > app.now().toISOString()
  if (!open || !upload.announced) throw notFound(noun, id)
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
const join = async (
  app: UploadParts,
  upload: PendingUpload,
  { size_bytes, sha256, upload_id }: Announced,
  parts: UploadedPart[],
): Promise<ArtifactInfo> => {
  const expected = { size_bytes, ...(sha256 !== undefined && { sha256 }) }
  const joined = await app.artifacts.stat(upload.storage_path)
  if (joined?.size_bytes === size_bytes)
    return app.artifacts.put(upload.storage_path, await app.artifacts.read(upload.storage_path), expected)
  return app.artifacts.completeUpload(upload.storage_path, upload_id, parts, expected)
}
