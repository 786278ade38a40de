import { type DatasetReply, datasetReply } from '../domain/dataset.ts'
import type { Principal } from '../domain/principal.ts'
import type { UploadedPart } from '../ports/artifacts.ts'
import { datasetUpload } from './dataset-upload.ts'
import { joinUpload } from './join-upload.ts'
import type { UploadParts } from './upload-purpose.ts'

/** Join the parts of a dataset's upload: see `joinUpload`. */
export const completeDatasetUpload = async (
  app: UploadParts,
  principal: Principal,
  dataset_id: string,
  parts: UploadedPart[],
): Promise<DatasetReply> => datasetReply(await joinUpload(app, datasetUpload, principal, { id: dataset_id, parts }))
