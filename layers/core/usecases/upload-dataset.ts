import type { DatasetForm, DatasetInParts, DatasetPlanReply } from '../contract/routes/datasets.ts'
import { type DatasetReply, datasetReply } from '../domain/dataset.ts'
import type { Principal } from '../domain/principal.ts'
import { datasetUpload } from './dataset-upload.ts'
import { announceUpload, type ReadForm, receiveUpload } from './receive-upload.ts'
import type { UploadParts } from './upload-purpose.ts'

/** Upload a dataset in one form: see `receiveUpload`. */
export const uploadDataset = async (
  app: UploadParts,
  principal: Principal,
  readForm: ReadForm<DatasetForm>,
): Promise<DatasetReply> => datasetReply(await receiveUpload(app, datasetUpload, principal, readForm))

/** Announce a dataset's upload in parts: see `announceUpload`. */
export const beginDatasetUpload = async (
  app: UploadParts,
  principal: Principal,
  input: DatasetInParts,
): Promise<DatasetPlanReply> => {
  const { size_bytes, sha256, file_name, ...described } = input
  const { id, ...plan } = await announceUpload(app, datasetUpload, principal, { size_bytes, sha256, file_name, described })
  return { dataset_id: id, ...plan }
}
