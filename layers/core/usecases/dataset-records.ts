import { notFound } from '../contract/errors.ts'
import { Dataset } from '../domain/dataset.ts'
import type { App } from '../ports/app.ts'
import type { Operation } from '../ports/records.ts'
import { organizationKey } from './record-keys.ts'

/** Datasets are `dataset#<id>`, deleted ones `deleted-dataset#<id>` until their bytes are gone. */
export const datasetKey = (organization_id: string, dataset_id: string) => organizationKey(organization_id, 'dataset', dataset_id)
export const deletedDatasetKey = (organization_id: string, dataset_id: string) =>
  organizationKey(organization_id, 'deleted-dataset', dataset_id)

/** Datasets that will go by themselves, by when. */
export const EXPIRING_DATASETS = 'datasets#expiring'
/** Deleted ones whose bytes are still there, by when they were deleted. */
export const DELETED_DATASETS = 'datasets#deleted'

/** A live dataset of the organisation. Fails with `not_found` for everything else. */
export const findDataset = async (app: Pick<App, 'records'>, organization_id: string, dataset_id: string): Promise<Dataset> =>
  (await findStoredDataset(app, organization_id, dataset_id)).dataset

export const findStoredDataset = async (
  app: Pick<App, 'records'>,
  organization_id: string,
  dataset_id: string,
): Promise<{ dataset: Dataset; version: string }> => {
  const stored = await app.records.get(datasetKey(organization_id, dataset_id))
  if (!stored) throw notFound('Dataset', dataset_id)
  return { dataset: Dataset.parse(stored.body), version: stored.version }
}

/** The operation that stores it, in the worklist of what expires unless it is kept. */
export const putDataset = (dataset: Dataset, expect: 'absent' | { version: string }): Operation => ({
  put: {
    ...datasetKey(dataset.organization_id, dataset.id),
    body: dataset,
    ...(dataset.expires_at !== null && {
      worklist: { pk: EXPIRING_DATASETS, sk: `${dataset.expires_at}#${dataset.id}` },
    }),
  },
  expect,
})
