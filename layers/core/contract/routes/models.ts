import * as z from 'zod'
import { AccuracyGateAsked } from '../../domain/accuracy-gate.ts'
import { Framework, ModelDetail, ModelReply } from '../../domain/model.ts'
import { OptimizationMethod, OptimizedModelDetail, OptimizedModelReply } from '../../domain/optimization.ts'
import { OptimizationTarget } from '../../domain/optimization-target.ts'
import { sizeBytesOf } from '../../domain/size.ts'
import { Task } from '../../domain/task.ts'
import { ListQuery, listReply, Message } from '../lists.ts'
import { Metadata } from '../metadata.ts'
import type { RouteRow } from '../route-row.ts'

const row = { function: 'models', surface: 'platform', transfer: 'json', status: 200 } as const
const reads = { role: 'viewer', action: 'models:read', needs: ['records:read'] } as const
const writes = {
  role: 'editor',
  action: 'models:write',
  needs: ['records:read', 'records:write', 'artifacts:read', 'artifacts:write'],
} as const
const params = z.object({ model_id: z.string() })

/** Names are not unique: the versions of a model share one. */
const printable = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'wanted printable characters')

const rows_text =
  '`data:…;base64,…` of an .npz, .npy, idx, zip or JSON lines file, a dataset, or a deployment’s recorded requests'
/** Rows of the inputs: inside the request, or by where they lie. */
export const SuppliedRows = z.union(
  [z.string(), z.strictObject({ dataset_id: z.string() }), z.strictObject({ deployment_id: z.string() })],
  { error: 'wanted "data:…;base64,…", {"dataset_id": "dts_…"} or {"deployment_id": "dep_…"}' },
)
export type SuppliedRows = z.infer<typeof SuppliedRows>

/** The reference's answer to an upload. */
export const UploadReply = ModelReply.pick({
  name: true,
  framework: true,
  version: true,
  storage_path: true,
  created_at: true,
  status: true,
  size_bytes: true,
  sha256: true,
  inspection: true,
}).extend({
  model_id: z.string(),
})
export type UploadReply = z.infer<typeof UploadReply>

/** What joins the parts of an upload: each with the ETag its storing answered. */
export const UploadedParts = z.strictObject({
  parts: z
    .array(z.object({ number: z.number().int().min(1).max(10_000), etag: z.string() }))
    .min(1)
    .max(10_000),
})

/** JSON form of `POST /models`: announce an upload in parts. */
export const UploadInParts = z.strictObject({
  name: printable(256),
  framework: Framework,
  version: printable(64),
  size_bytes: z.number().int().min(1),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'wanted 64 lower-case hexadecimal digits')
    .optional(),
  file_name: z.string().max(255).optional(),
  metadata: Metadata.default({}),
})
export type UploadInParts = z.infer<typeof UploadInParts>

/** The fields of the multipart form, besides its file. */
export const UploadForm = UploadInParts.pick({ name: true, framework: true, version: true, metadata: true })
export type UploadForm = z.infer<typeof UploadForm>

export const UploadPlanReply = z.object({
  model_id: z.string(),
  part_size: z.number().int(),
  parts: z.array(z.object({ number: z.number().int(), url: z.string() })),
  expires_at: z.string(),
})
export type UploadPlanReply = z.infer<typeof UploadPlanReply>

export const modelRoutes = {
  'list-models': {
    ...row,
    ...reads,
    method: 'GET',
    path: '/models',
    summary: 'List models, newest first',
    query: ListQuery.extend({
      name: z.string().optional(),
      framework: Framework.optional(),
      status: z.enum(['active', 'inactive']).optional(),
    }),
    reply: listReply(ModelReply),
  },
  'get-model': {
    ...row,
    ...reads,
    method: 'GET',
    path: '/models/{model_id}',
    summary: 'Get a model, with the optimisations that its file suggests',
    params,
    reply: ModelDetail,
  },
  'upload-model': {
    ...row,
    ...writes,
    method: 'POST',
    path: '/models',
    transfer: 'stream',
    summary: 'Upload a model, in one multipart body or in parts',
    description:
      'multipart/form-data with name, framework, version, file and optional metadata (JSON object) stores the file at once. application/json announces an upload in parts: PUT every part to its URL, then POST /models/{model_id}/complete.',
    accepts: ['multipart/form-data', 'application/json'],
    body: UploadInParts,
    reply: z.union([UploadReply, UploadPlanReply]),
  },
  'put-upload-part': {
    ...row,
    role: 'signed_url',
    action: 'models:write',
    needs: ['artifacts:write'],
    method: 'PUT',
    path: '/uploads/{upload_id}/parts/{number}',
    transfer: 'stream',
    summary: 'Store one part of an upload; the signed URL is the credential (on AWS the URL points at S3 instead)',
    accepts: ['application/octet-stream'],
    params: z.object({ upload_id: z.string(), number: z.coerce.number().int().min(1).max(10_000) }),
    query: z.object({ expires: z.string(), signature: z.string() }),
    reply: z.object({ etag: z.string() }),
  },
  'complete-upload': {
    ...row,
    ...writes,
    method: 'POST',
    path: '/models/{model_id}/complete',
    summary: 'Join the parts of an upload',
    params,
    body: UploadedParts,
    reply: UploadReply,
  },
  'update-model': {
    ...row,
    ...writes,
    method: 'PATCH',
    path: '/models/{model_id}',
    summary: 'Set a model active or inactive, or replace its metadata; inactive models cannot be newly deployed or optimised',
    params,
    body: z.strictObject({ status: z.enum(['active', 'inactive']).optional(), metadata: Metadata.optional() }),
    reply: ModelReply,
  },
  'delete-model': {
    ...row,
    ...writes,
    method: 'DELETE',
    path: '/models/{model_id}',
    summary: 'Delete a model that no deployment uses',
    params,
    reply: Message,
  },
  'optimize-model': {
    ...row,
    ...writes,
    needs: ['records:read', 'records:write', 'artifacts:read', 'artifacts:write', 'workflows:start'],
    method: 'POST',
    path: '/models/{model_id}/optimize',
    summary: 'Start an optimisation',
    params,
    body: z.strictObject({
      method: OptimizationMethod,
      target_size: z
        .string()
        .regex(/^\d+(\.\d+)?\s*(B|KB|MB|GB|KiB|MiB|GiB)$/i, { error: 'wanted a size as "10MB"', abort: true })
        .refine((text) => sizeBytesOf(text) !== undefined, `wanted a size from 1 byte to ${Number.MAX_SAFE_INTEGER} bytes`)
        .nullish(),
      target_latency: z.number().positive().nullish().describe('p50 milliseconds on the measuring machine'),
      calibration_data: SuppliedRows.nullish().describe(
        `Rows to fit with: ${rows_text}; null for a part of evaluation_data, or generated inputs`,
      ),
      evaluation_data: SuppliedRows.nullish().describe(
        `Rows to judge by, perhaps with labels: ${rows_text}; null for a part of calibration_data, or generated inputs`,
      ),
      accuracy_gate: AccuracyGateAsked.nullish().describe(
        'What a candidate must keep to be published; a number is the top-1 agreement. Wins over metadata.accuracy_gate',
      ),
      target: OptimizationTarget.nullish(),
      time_budget_s: z
        .number()
        .min(1)
        .max(86_400)
        .nullish()
        .describe('Seconds of building and measuring after which no further candidate is begun; 60 and more by size when absent'),
      task: Task.nullish().describe('What the labels of evaluation_data mean, where labels and outputs do not tell'),
      metadata: Metadata.default({}),
    }),
    reply: OptimizedModelReply.pick({
      id: true,
      original_model_id: true,
      optimization_method: true,
      status: true,
      created_at: true,
    }),
  },
  'list-optimized-models': {
    ...row,
    ...reads,
    method: 'GET',
    path: '/models/{model_id}/optimized',
    summary: 'List the optimisations of a model with what was measured',
    params,
    query: ListQuery,
    reply: listReply(OptimizedModelReply),
  },
  'get-optimized-model': {
    ...row,
    ...reads,
    method: 'GET',
    path: '/models/{model_id}/optimized/{optimized_id}',
    summary: 'Get one optimisation with all its attempts, their Pareto front and how far the search is',
    params: params.extend({ optimized_id: z.string() }),
    reply: OptimizedModelDetail,
  },
  'cancel-optimization': {
    ...row,
    ...writes,
    needs: ['records:read', 'records:write'],
    method: 'POST',
    path: '/models/{model_id}/optimized/{optimized_id}/cancel',
    summary: 'Cancel an optimisation that still runs; it ends failed, with `metadata.error: "cancelled"`',
    params: params.extend({ optimized_id: z.string() }),
    reply: OptimizedModelDetail,
  },
} as const satisfies Record<string, RouteRow>
