import { isPlatformError, PlatformError } from '../contract/errors.ts'
import type { UploadReply } from '../contract/routes/models.ts'
import { type Inspection, type Model, ModelReply, PendingUpload } from '../domain/model.ts'
import type { App } from '../ports/app.ts'
import type { ArtifactInfo } from '../ports/artifacts.ts'
import type { Operation } from '../ports/records.ts'
import { countChange } from './count-by-status.ts'
import { modelKey, uploadKey } from './find-model.ts'
import { retryConflicts } from './retry-conflicts.ts'

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
 * Removes what an upload left, unless it became a model meanwhile. Primary course: its note says `given_up`, so that it cannot become a
 * model any more; then the bytes go, and the note last: a crash in between is swept.
 */
export const discardUpload = async (app: Store, upload: PendingUpload): Promise<void> => {
  if (!(await giveUp(app, upload))) return
  if (upload.announced) await app.artifacts.abortUpload(upload.storage_path, upload.announced.upload_id)
  await app.artifacts.remove(upload.storage_path)
  await app.records.write([{ remove: uploadKey(upload.organization_id, upload.id), expect: 'any' }])
}

/** False when it is a model by now, whose bytes must stay. */
const giveUp = async (app: Store, { organization_id, id }: PendingUpload): Promise<boolean> => {
  const given_up = retryConflicts(async () => {
    const stored = await app.records.get(uploadKey(organization_id, id))
    if (!stored) return (await app.records.get(modelKey(organization_id, id))) === undefined
    const upload = PendingUpload.parse(stored.body)
    if (!upload.given_up) await app.records.write([putPendingUpload({ ...upload, given_up: true }, { version: stored.version })])
    return true
  })
  return given_up.catch((error: unknown) => {
    // Removing bytes is what helps a full disk, and on one no upload becomes a model either.
    if (isPlatformError(error, 'storage_full')) return true
    throw error
  })
}

/**
 * Makes stored bytes a model.
 *
 * 1. Inspects the file against the declared framework; `invalid_model` when it is not what it says.
 * 2. In one transaction: the note of the upload goes, the model comes, the count changes.
 *
 * Leaves nothing behind when the file is refused; the bytes stay when only the write failed, for a repeat.
 */
export const admitModel = async (
  app: Store & Pick<App, 'inspector' | 'now'>,
  upload: PendingUpload,
  described: Pick<Model, 'name' | 'framework' | 'version' | 'metadata'>,
  info: ArtifactInfo,
): Promise<Model> => {
  const inspection = await inspectArtifact(app, upload, described.framework)
  const { id, organization_id, storage_path, file_name, created_at, announced } = upload
  const model: Model = {
    ...{ id, organization_id, storage_path, file_name, created_at, ...described, ...info, inspection },
    status: 'active',
    updated_at: app.now().toISOString(),
    ...(announced && { upload_id: announced.upload_id }),
  }
  await retryConflicts(async () => {
    const pending = await app.records.get(uploadKey(organization_id, id))
    if (!pending || PendingUpload.parse(pending.body).given_up)
      throw new PlatformError('upload_incomplete', `The upload of model ${id} ended before it was complete`)
    await app.records.write([
      { remove: uploadKey(organization_id, id), expect: { version: pending.version } },
      { put: { ...modelKey(organization_id, id), body: model }, expect: 'absent' },
      ...(await countChange(app, { organization_id, kind: 'model', id, to: 'active' })),
    ])
  })
  return model
}

const inspectArtifact = async (
  app: Store & Pick<App, 'inspector'>,
  upload: PendingUpload,
  framework: Model['framework'],
): Promise<Inspection> => {
  const file = await app.artifacts.asFile(upload.storage_path)
  try {
    return await app.inspector.inspect(file.path, { framework, file_name: upload.file_name })
  } catch (error) {
    if (isPlatformError(error, 'invalid_model')) await discardUpload(app, upload)
    throw error
  } finally {
    await file.release()
  }
}

/** The reference's answer to an upload. */
export const uploadReply = (model: Model): UploadReply => {
  const { id, updated_at: _, metadata: __, file_name: ___, ...shown } = ModelReply.parse(model)
  return { model_id: id, ...shown }
}
