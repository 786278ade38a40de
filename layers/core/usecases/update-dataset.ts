import type { BodyOf } from '../contract/routes.ts'
import { type Dataset, type DatasetReply, datasetExpiry, datasetReply } from '../domain/dataset.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { findStoredDataset, putDataset } from './dataset-records.ts'
import { retryConflicts } from './retry-conflicts.ts'

/** Rename a dataset, or say anew how long it stays. */
export const updateDataset = (
  app: Pick<App, 'records' | 'now'>,
  { organization_id }: Principal,
  dataset_id: string,
  { name, keep }: BodyOf<'update-dataset'>,
): Promise<DatasetReply> =>
  retryConflicts(async () => {
    const { dataset, version } = await findStoredDataset(app, organization_id, dataset_id)
    const now = app.now()
    const changed: Dataset = {
      ...dataset,
      name: name ?? dataset.name,
      expires_at: keep === undefined ? dataset.expires_at : datasetExpiry(keep, now),
      updated_at: now.toISOString(),
    }
    await app.records.write([putDataset(changed, { version })])
    return datasetReply(changed)
  })
