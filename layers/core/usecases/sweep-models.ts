import { errorChain } from '../contract/errors.ts'
import { Model } from '../domain/model.ts'
import { OptimizedModel } from '../domain/optimization.ts'
import type { App } from '../ports/app.ts'
import type { Stored } from '../ports/records.ts'
import { countChange } from './count-by-status.ts'
import { everyStored } from './every-stored.ts'
import { optimizationKey } from './optimization-records.ts'
import { organizationPartition } from './record-keys.ts'
import { retryConflicts } from './retry-conflicts.ts'

export const DELETED_MODELS = 'models#deleted'
/** A backup copies artifacts after its snapshot of the records; what the snapshot names must still be there. */
const BYTES_KEPT_MS = 24 * 3_600_000
const TOMBSTONE_KEPT_S = 30 * 86_400

type Parts = Pick<App, 'records' | 'artifacts' | 'now' | 'log'>

/**
 * Remove the bytes of models that were deleted a day ago, with those of their optimised models, when no optimisation is still
 * reading them; a deployment cannot be, for the deletion was refused then. Answers how many models it cleared.
 */
export const sweepModels = async (app: Parts): Promise<number> => {
  const to = `${new Date(app.now().getTime() - BYTES_KEPT_MS).toISOString()}#~`
  let cleared = 0
  for await (const { pk, sk } of everyStored(app.records, { index: 'worklist', pk: DELETED_MODELS, to })) {
    const tombstone = await app.records.get({ pk, sk })
    if (!tombstone?.worklist) continue
    try {
      if (await clear(app, tombstone)) cleared += 1
    } catch (error) {
      app.log.warn('deleted model not swept', { pk, sk, cause: errorChain(error) })
    }
  }
  return cleared
}

/** Bytes first, then the records of its optimisations, last the tombstone leaves the worklist: a crash in between repeats harmlessly. */
const clear = async (app: Parts, tombstone: Stored): Promise<boolean> => {
  const model = Model.parse(tombstone.body)
  const optimized = await optimizationsOf(app, model)
  if (optimized.some(({ status }) => status === 'optimizing')) return false
  const prefixes = [
    `models/${model.organization_id}/${model.id}/`,
    ...optimized.map(({ id }) => `optimizations/${model.organization_id}/${id}/`),
  ]
  const keys = (await Promise.all(prefixes.map((prefix) => app.artifacts.list(prefix)))).flat()
  const named = optimized.flatMap(({ storage_path }) => (storage_path === null ? [] : [storage_path]))
  for (const key of new Set([model.storage_path, ...named, ...keys])) await app.artifacts.remove(key)
  const expires_at = Math.floor(app.now().getTime() / 1000) + TOMBSTONE_KEPT_S
  for (const { id } of optimized) await forgetOptimization(app, model, id, expires_at)
  await app.records.write([
    { put: { pk: tombstone.pk, sk: tombstone.sk, body: tombstone.body, expires_at }, expect: { version: tombstone.version } },
  ])
  return true
}

/** Its record stays as long as the model's, for what it cost; without an original nobody can ask for it any more. */
const forgetOptimization = ({ records }: Parts, { organization_id, deleted_at }: Model, id: string, expires_at: number) =>
  retryConflicts(async () => {
    const stored = await records.get(optimizationKey(organization_id, id))
    const optimized = stored && OptimizedModel.parse(stored.body)
    if (!optimized || optimized.deleted_at !== undefined) return
    await records.write([
      {
        put: { ...optimizationKey(organization_id, id), body: { ...stored.body, deleted_at: deleted_at ?? null }, expires_at },
        expect: { version: stored.version },
      },
      ...(await countChange({ records }, { organization_id, kind: 'optimization', id, from: optimized.status })),
    ])
  })

const optimizationsOf = async (app: Parts, model: Model): Promise<OptimizedModel[]> => {
  const found: OptimizedModel[] = []
  const range = { pk: organizationPartition(model.organization_id), from: 'optimization#', to: 'optimization#~' }
  for await (const { body } of everyStored(app.records, range)) {
    if (body.original_model_id === model.id) found.push(OptimizedModel.parse(body))
  }
  return found
}
