import { type DatasetReply, datasetReply } from '../domain/dataset.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { findDataset } from './dataset-records.ts'

/** One dataset of the caller's organisation. */
export const getDataset = async (app: Pick<App, 'records'>, principal: Principal, dataset_id: string): Promise<DatasetReply> =>
  datasetReply(await findDataset(app, principal.organization_id, dataset_id))
