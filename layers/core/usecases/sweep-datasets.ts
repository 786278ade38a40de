import { errorChain, isPlatformError } from '../contract/errors.ts'
import { Dataset } from '../domain/dataset.ts'
import { OptimizedModel } from '../domain/optimization.ts'
import type { App } from '../ports/app.ts'
import { DELETED_DATASETS, EXPIRING_DATASETS } from './dataset-records.ts'
import { deleteDataset } from './delete-dataset.ts'
import { everyStored } from './every-stored.ts'
import { RUNNING_OPTIMIZATIONS } from './optimization-records.ts'

/** A backup copies artifacts after its snapshot of the records; what the snapshot names must still be there. */
const BYTES_KEPT_MS = 24 * 3_600_000

type Parts = Pick<App, 'records' | 'artifacts' | 'now' | 'log'>

/**
 * Delete datasets past their time, as their owner would, and remove the bytes of those that were deleted a day ago and that no
 * optimisation is reading. Answers how many were cleared.
 */
export const sweepDatasets = async (app: Parts): Promise<number> => {
  await deleteExpired(app)
  const to = `${new Date(app.now().getTime() - BYTES_KEPT_MS).toISOString()}#~`
  let read: Set<string> | undefined
  let cleared = 0
  for await (const { pk, sk } of everyStored(app.records, { index: 'worklist', pk: DELETED_DATASETS, to })) {
    const tombstone = await app.records.get({ pk, sk })
    if (!tombstone) continue
    const { storage_path } = Dataset.parse(tombstone.body)
    read ??= await artifactsBeingRead(app)
    if (read.has(storage_path)) continue
    try {
      await app.artifacts.remove(storage_path)
      await app.records.write([{ remove: { pk, sk }, expect: { version: tombstone.version } }])
      cleared += 1
    } catch (error) {
      app.log.warn('deleted dataset not swept', { pk, sk, cause: errorChain(error) })
    }
  }
  return cleared
}

const deleteExpired = async (app: Parts): Promise<void> => {
  const now = app.now().toISOString()
  for await (const { body } of everyStored(app.records, { index: 'worklist', pk: EXPIRING_DATASETS, to: `${now}#~` })) {
    const { organization_id, id } = Dataset.parse(body)
    try {
      await deleteDataset(app, { organization_id }, id, now)
    } catch (error) {
      if (isPlatformError(error, 'not_found') || isPlatformError(error, 'conflict')) continue
      app.log.warn('expired dataset not deleted', { id, cause: errorChain(error) })
    }
  }
}

/** What running optimisations fit and judge with. */
const artifactsBeingRead = async (app: Parts): Promise<Set<string>> => {
  const keys = new Set<string>()
  for await (const { pk, sk } of everyStored(app.records, { index: 'worklist', pk: RUNNING_OPTIMIZATIONS })) {
    const stored = await app.records.get({ pk, sk })
    if (!stored) continue
    const { calibration_artifact, evaluation_artifact } = OptimizedModel.parse(stored.body)
    for (const key of [calibration_artifact, evaluation_artifact]) if (key !== null) keys.add(key)
  }
  return keys
}
