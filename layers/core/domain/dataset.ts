import * as z from 'zod'
import { artifactName } from './upload.ts'

/** How rows are written in a file; recognised by its content. `zip` holds one idx or npy file per input. */
export const DatasetFormat = z.enum(['npz', 'npy', 'jsonl', 'idx', 'zip'])
export type DatasetFormat = z.infer<typeof DatasetFormat>

/** One array of a dataset; `datatype` as numpy writes it (`<f4`), as idx names it (`u8`), or null where lines may differ. */
export const DatasetArray = z.object({
  name: z.string(),
  datatype: z.string().nullable(),
  shape: z.array(z.number().int()).nullable().describe('Rows first; null where rows may differ in shape'),
})
export type DatasetArray = z.infer<typeof DatasetArray>

/** What the headers of the file say; its values are read where it is used. */
export const DatasetContent = z.object({
  format: DatasetFormat,
  rows: z.number().int().nullable().describe('null where they were not counted'),
  arrays: z.array(DatasetArray),
})
export type DatasetContent = z.infer<typeof DatasetContent>

/** Rows to fit candidates with or to judge them by: a tenant's file. */
export const Dataset = DatasetContent.extend({
  id: z.string(),
  organization_id: z.string(),
  name: z.string(),
  status: z.literal('active'),
  storage_path: z.string().describe('Artifact key'),
  file_name: z.string(),
  size_bytes: z.number().int(),
  sha256: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
  expires_at: z.string().nullable().describe('When it is deleted by itself; null while it is kept'),
  /** The upload in parts it came from; a repeated completion of it answers the dataset again. */
  upload_id: z.string().optional(),
  deleted_at: z.string().optional(),
})
export type Dataset = z.infer<typeof Dataset>

export const DatasetReply = Dataset.omit({ organization_id: true, upload_id: true, deleted_at: true })
export type DatasetReply = z.infer<typeof DatasetReply>
export const datasetReply = (dataset: Dataset): DatasetReply => DatasetReply.parse(dataset)

const KEPT_MS = 90 * 86_400_000

/** When a dataset that nobody asked to keep goes: 90 days from now. */
export const datasetExpiry = (keep: boolean, now: Date): string | null =>
  keep ? null : new Date(now.getTime() + KEPT_MS).toISOString()

/** Where the bytes of a dataset lie. */
export const datasetArtifact = (organization_id: string, dataset_id: string, file_name: string): string =>
  `datasets/${organization_id}/${dataset_id}/${artifactName(file_name, 'data')}`
