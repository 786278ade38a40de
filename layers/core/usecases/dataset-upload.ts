import * as z from 'zod'
import { DatasetForm } from '../contract/routes/datasets.ts'
import { Dataset, type DatasetContent, datasetArtifact, datasetExpiry } from '../domain/dataset.ts'
import { datasetKey, putDataset } from './dataset-records.ts'
import type { UploadParts, UploadPurpose } from './upload-purpose.ts'

/** Uploads that become datasets: their headers are read, their rows where they are used. */
export const datasetUpload: UploadPurpose<DatasetForm, Dataset> = {
  name: 'dataset',
  noun: 'Dataset',
  id_prefix: 'dts',
  unnamed: 'data',
  artifact: datasetArtifact,
  key: datasetKey,
  described: z.object(DatasetForm.shape),
  document: Dataset,
  make: async (app, upload, { name, keep }, info) => {
    const content = await contentOf(app, upload.storage_path)
    const { id, organization_id, storage_path, file_name, created_at, announced } = upload
    const now = app.now()
    return {
      ...{ id, organization_id, storage_path, file_name, created_at, name, ...info, ...content },
      status: 'active',
      updated_at: now.toISOString(),
      expires_at: datasetExpiry(keep, now),
      ...(announced && { upload_id: announced.upload_id }),
    }
  },
  put: (dataset) => putDataset(dataset, 'absent'),
}

const contentOf = async (app: UploadParts, storage_path: string): Promise<DatasetContent> => {
  const file = await app.artifacts.asFile(storage_path)
  try {
    return await app.inspector.describeDataset(file.path)
  } finally {
    await file.release()
  }
}
