import * as z from 'zod'
import { DatasetFormat, DatasetReply } from '../../domain/dataset.ts'
import { ListQuery, listReply, Message } from '../lists.ts'
import type { RouteRow } from '../route-row.ts'
import { UploadedParts, UploadInParts, UploadPlanReply } from './models.ts'

const row = { function: 'models', surface: 'platform', transfer: 'json', status: 200 } as const
const reads = { role: 'viewer', action: 'datasets:read', needs: ['records:read'] } as const
const writes = { role: 'editor', action: 'datasets:write', needs: ['records:read', 'records:write'] } as const
const stores = { ...writes, needs: ['records:read', 'records:write', 'artifacts:read', 'artifacts:write'] } as const
const params = z.object({ dataset_id: z.string() })
const keep = z.boolean().describe('true: it stays until it is deleted; false: it goes 90 days from now')

/** JSON form of `POST /datasets`: announce an upload in parts. */
export const DatasetInParts = UploadInParts.pick({ name: true, size_bytes: true, sha256: true, file_name: true }).extend({
  keep: keep.default(false),
})
export type DatasetInParts = z.infer<typeof DatasetInParts>

/** The fields of the multipart form, besides its file. */
export const DatasetForm = DatasetInParts.pick({ name: true, keep: true })
export type DatasetForm = z.infer<typeof DatasetForm>

export const DatasetPlanReply = UploadPlanReply.omit({ model_id: true }).extend({ dataset_id: z.string() })
export type DatasetPlanReply = z.infer<typeof DatasetPlanReply>

export const datasetRoutes = {
  'list-datasets': {
    ...row,
    ...reads,
    method: 'GET',
    path: '/datasets',
    summary: 'List datasets, newest first',
    query: ListQuery.extend({ name: z.string().optional(), format: DatasetFormat.optional() }),
    reply: listReply(DatasetReply),
  },
  'get-dataset': {
    ...row,
    ...reads,
    method: 'GET',
    path: '/datasets/{dataset_id}',
    summary: 'Get a dataset: its arrays and rows, and when it expires',
    params,
    reply: DatasetReply,
  },
  'upload-dataset': {
    ...row,
    ...stores,
    method: 'POST',
    path: '/datasets',
    transfer: 'stream',
    summary: 'Upload rows to calibrate or judge optimised models with, in one multipart body or in parts',
    description:
      'multipart/form-data with name, file and optional keep stores the file at once. application/json announces an upload in parts: PUT every part to its URL, then POST /datasets/{dataset_id}/complete. The file is .npz or .npy, idx (also gzipped), a zip with one such file per input, or JSON lines as {"inputs": {…}, "label": …}; labels are an array or member named labels. What it is is told by its content.',
    accepts: ['multipart/form-data', 'application/json'],
    body: DatasetInParts,
    reply: z.union([DatasetReply, DatasetPlanReply]),
  },
  'complete-dataset-upload': {
    ...row,
    ...stores,
    method: 'POST',
    path: '/datasets/{dataset_id}/complete',
    summary: 'Join the parts of a dataset’s upload',
    params,
    body: UploadedParts,
    reply: DatasetReply,
  },
  'update-dataset': {
    ...row,
    ...writes,
    method: 'PATCH',
    path: '/datasets/{dataset_id}',
    summary: 'Rename a dataset, keep it, or let it go 90 days from now',
    params,
    body: z.strictObject({ name: UploadInParts.shape.name.optional(), keep: keep.optional() }),
    reply: DatasetReply,
  },
  'delete-dataset': {
    ...row,
    ...writes,
    method: 'DELETE',
    path: '/datasets/{dataset_id}',
    summary: 'Delete a dataset; optimisations that use it run on, its bytes go a day later',
    params,
    reply: Message,
  },
} as const satisfies Record<string, RouteRow>
