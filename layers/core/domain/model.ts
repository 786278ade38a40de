import * as z from 'zod'
import { JsonObject } from './json.ts'
import { OptimizationMethod } from './optimization.ts'
import { ModelStorage } from './storage-decision.ts'
import { artifactName } from './upload.ts'

export const Framework = z.enum(['onnx', 'tensorflow', 'pytorch'])
export type Framework = z.infer<typeof Framework>

/** One input or output of a model. `shape` holds a number, a symbol's name, or null where nothing is known. */
export const TensorSpec = z.object({
  name: z.string(),
  datatype: z.string().describe('Open Inference Protocol datatype, e.g. FP32; or the ONNX type text when it is no tensor'),
  shape: z.array(z.union([z.number().int(), z.string(), z.null()])),
})
export type TensorSpec = z.infer<typeof TensorSpec>

/** What the platform learnt by reading the file. Members are absent where the format does not tell. */
export const Inspection = z.object({
  format: z.string().describe('onnx, torchscript, pytorch_state_dict, tensorflow_savedmodel, keras_h5, tflite …'),
  ir_version: z.number().int().optional(),
  producer: z.string().optional(),
  opsets: z.record(z.string(), z.number().int()).optional(),
  inputs: z.array(TensorSpec).optional(),
  outputs: z.array(TensorSpec).optional(),
  parameter_count: z.number().int().optional(),
  parameter_bytes: z.number().int().optional(),
  operators: z.record(z.string(), z.number().int()).optional().describe('Histogram of operators, sub-graphs included'),
  flops: z
    .number()
    .nullable()
    .optional()
    .describe('Multiply-adds × 2 of one run with every free dimension at 1; null when shapes do not tell'),
  weights: z
    .record(
      z.string(),
      z.object({
        elements: z.number().int(),
        bytes: z.number().int(),
        channels: z.number().int().optional().describe('Output channels, as many as 8-bit weights need scales'),
      }),
    )
    .optional()
    .describe(
      'Stored tensors of 1,024 elements and more by the operator that reads them, e.g. MatMul, Gemm, Gather, Conv, DepthwiseConv; the rest is other',
    ),
  graph_bytes: z.number().int().optional().describe('Of the file, what is no stored tensor: operators, names, shapes'),
  external_data: z.array(z.string()).optional(),
  batchable: z.boolean().optional().describe('Every input and output shares one free first dimension'),
  notes: z.array(z.string()).optional(),
})
export type Inspection = z.infer<typeof Inspection>

/** Only `active` models can be newly deployed or optimised. */
export const ModelStatus = z.enum(['active', 'inactive'])
export type ModelStatus = z.infer<typeof ModelStatus>

/** A model as stored; what callers see is `ModelReply`. */
export const Model = z.object({
  id: z.string(),
  organization_id: z.string(),
  name: z.string(),
  framework: Framework,
  version: z.string(),
  status: ModelStatus,
  storage_path: z.string().describe('Artifact key'),
  file_name: z.string(),
  size_bytes: z.number().int(),
  sha256: z.string(),
  inspection: Inspection.nullable(),
  created_at: z.string(),
  updated_at: z.string(),
  metadata: JsonObject,
  /** The upload in parts it came from; a repeated completion of it answers the model again. */
  upload_id: z.string().optional(),
  deleted_at: z.string().optional(),
  /** How its files are kept while nothing is deployed from them. */
  storage: ModelStorage.optional(),
})
export type Model = z.infer<typeof Model>

/** Where the bytes of a model lie. */
export const modelArtifact = (organization_id: string, model_id: string, file_name: string): string =>
  `models/${organization_id}/${model_id}/${artifactName(file_name, 'model')}`

const documented = Model.pick({
  id: true,
  name: true,
  framework: true,
  version: true,
  storage_path: true,
  created_at: true,
  updated_at: true,
  metadata: true,
})
const learnt = Model.pick({ status: true, file_name: true, size_bytes: true, sha256: true, inspection: true })

/** The reference's model body plus what the platform learnt, as further top-level members. */
export const ModelReply = documented.extend(learnt.shape).extend({
  storage: ModelStorage.omit({ busy: true, files: true })
    .optional()
    .describe('Once nothing is deployed from it: how its files are kept, and when it will be deleted if that was announced'),
})
export type ModelReply = z.infer<typeof ModelReply>
export const modelReply = (model: Model): ModelReply => ModelReply.parse(model)

/** What an optimisation of the model might bring, told from its file alone. */
export const SuggestedOptimization = z.object({
  method: OptimizationMethod,
  precision: z.string().nullable().describe('For `metadata.precision`; null where the method knows none'),
  expected_size_bytes: z.number().int().nullable(),
  reason: z.string(),
})
export type SuggestedOptimization = z.infer<typeof SuggestedOptimization>

export const ModelDetail = ModelReply.extend({ suggested_optimizations: z.array(SuggestedOptimization) })
export type ModelDetail = z.infer<typeof ModelDetail>
