import * as z from 'zod'
import { JsonObject, JsonValue } from '../core/domain/json.ts'

/** What a processing job is told, `order.json`; artifact keys name the files beside it. */
export const Order = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('build'),
    order: z.object({
      optimizer: z.string(),
      settings: JsonObject,
      original: z.string(),
      candidate: z.string(),
      calibration: z.string().nullable(),
    }),
  }),
  z.object({
    kind: z.literal('measure'),
    order: z.object({
      original: z.string(),
      candidate: z.string(),
      calibration: z.string().nullable(),
      class_output: z.string().nullable().optional(),
      input_shapes: z.record(z.string(), z.array(z.number())),
    }),
  }),
])
export type Order = z.infer<typeof Order>

/** What it answers, `result.json`; a fault is the model's, everything else fails the job itself. */
export const Outcome = z.union([
  z.object({ ok: z.literal(true), result: JsonValue }),
  z.object({ ok: z.literal(false), code: z.enum(['model_error', 'invalid_request']), detail: z.string(), facts: JsonObject }),
])
export type Outcome = z.infer<typeof Outcome>

/** Folders of a job below its root, which is `/opt/ml` in SageMaker's containers. */
export const inputFolder = (role: 'order' | 'runtime' | 'original' | 'candidate' | 'calibration'): string =>
  `processing/input/${role}`
export const resultFolder = 'processing/output/result'
export const candidateFolder = 'processing/output/candidate'
