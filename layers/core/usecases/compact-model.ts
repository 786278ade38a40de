import { isPlatformError, PlatformError } from '../contract/errors.ts'
import type { Model } from '../domain/model.ts'
import type { ModelStorage } from '../domain/storage-decision.ts'
import type { App } from '../ports/app.ts'
import { findModel } from './find-model.ts'
import type { ModelFacts, ModelFile } from './judge-models.ts'
import { retryConflicts } from './retry-conflicts.ts'
import { putStorage } from './storage-records.ts'

type Needs = Pick<App, 'records' | 'artifacts' | 'now' | 'newId'>

/** Longer than the process that rewrites files can live on AWS (15 minutes); a crash frees them then. */
export const BUSY_MS = 16 * 60_000

/**
 * Rewrites the files of a model that nothing uses. Primary course: take the model, in one transaction with a check that still nothing
 * uses it; rewrite file after file; note what each takes up now. Whoever deploys it meanwhile waits until this is over.
 * Answers the bytes stored now. Fails with `version_conflict` when it came into use.
 */
export const compactModel = async (app: Needs, facts: ModelFacts, storage: ModelStorage, cold: boolean): Promise<number> => {
  const { artifacts } = app
  if (artifacts.compact === undefined) throw new PlatformError('unavailable_here', 'These artifacts cannot be kept in less room')
  const { model, version, use } = facts
  const busy = { id: app.newId('cmp'), until: new Date(app.now().getTime() + BUSY_MS).toISOString() }
  // Named before any of them is touched: whoever deploys after a crash in here makes all of them plain.
  const listed = {
    ...storage,
    files: facts.files.map((file) => storage.files.find(({ key }) => key === file.key) ?? asCame(file)),
  }
  await app.records.write([putStorage(model, { ...listed, busy }, version), { check: use.key, expect: use.expect }])
  try {
    const files: ModelStorage['files'] = []
    for (const { key, sha256 } of facts.files) files.push({ key, ...(await artifacts.compact(key, { sha256, cold })) })
    const form = cold ? 'archived' : 'compressed'
    await settleStorage(app, model, busy.id, { ...storage, form, since: app.now().toISOString(), files, busy: null })
    return files.reduce((sum, { stored_bytes }) => sum + stored_bytes, 0)
  } catch (error) {
    await settleStorage(app, model, busy.id, { ...listed, busy: null }).catch(() => undefined)
    throw error
  }
}

const asCame = ({ key, size_bytes }: ModelFile): ModelStorage['files'][number] => ({
  key,
  size_bytes,
  stored_bytes: size_bytes,
  form: 'plain',
})

/** Writes it if the model is still held by this work. */
export const settleStorage = (
  app: Pick<App, 'records'>,
  { organization_id, id }: Model,
  busy_id: string,
  storage: ModelStorage | undefined,
): Promise<void> =>
  retryConflicts(async () => {
    const found = await findModel(app, organization_id, id).catch((error: unknown) => {
      if (isPlatformError(error, 'not_found')) return undefined
      throw error
    })
    if (found?.model.storage?.busy?.id !== busy_id) return
    await app.records.write([putStorage(found.model, storage, found.version)])
  })
