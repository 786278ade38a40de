import { PlatformError } from '../contract/errors.ts'
import type { Message } from '../contract/lists.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { countChange } from './count-by-status.ts'
import { DELETED_DATASETS, datasetKey, deletedDatasetKey, findStoredDataset } from './dataset-records.ts'
import { retryConflicts } from './retry-conflicts.ts'

/**
 * Delete a dataset. In one transaction the record goes, its tombstone comes, the count changes; the bytes are removed by the sweep a day
 * later, when no optimisation reads them any more: those that run go on, and backups in progress still find them. With `expired_by` one
 * that is kept longer meanwhile is a `conflict`.
 */
export const deleteDataset = (
  app: Pick<App, 'records' | 'now'>,
  { organization_id }: Pick<Principal, 'organization_id'>,
  dataset_id: string,
  expired_by?: string,
): Promise<Message> =>
  retryConflicts(async () => {
    const { dataset, version } = await findStoredDataset(app, organization_id, dataset_id)
    if (expired_by !== undefined && (dataset.expires_at === null || dataset.expires_at > expired_by))
      throw new PlatformError('conflict', `Dataset ${dataset_id} is kept longer by now; it is not deleted`)
    const deleted_at = app.now().toISOString()
    const worklist = { pk: DELETED_DATASETS, sk: `${deleted_at}#${dataset_id}` }
    await app.records.write([
      { remove: datasetKey(organization_id, dataset_id), expect: { version } },
      { put: { ...deletedDatasetKey(organization_id, dataset_id), body: { ...dataset, deleted_at }, worklist }, expect: 'any' },
      ...(await countChange(app, { organization_id, kind: 'dataset', id: dataset_id, from: dataset.status })),
    ])
    return { message: `Dataset ${dataset_id} deleted successfully` }
  })
