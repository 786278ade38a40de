import * as z from 'zod'
import { JsonObject } from './json.ts'

export const OptimizationMethod = z.enum(['quantization', 'pruning', 'distillation', 'custom'])
export type OptimizationMethod = z.infer<typeof OptimizationMethod>

/** Latency and size of one file, measured in its own process. `latency_ms` are of single runs on `machine`. */
export const Measurement = z.object({
  size_bytes: z.number().int(),
  p50_ms: z.number(),
  p95_ms: z.number(),
  runs: z.number().int(),
  rss_bytes: z.number().int().optional(),
})
export type Measurement = z.infer<typeof Measurement>

/** Between which latency reductions the true one lies with 95 % confidence, from original and candidate timed in turns. */
export const LatencyInterval = z.object({
  low_percent: z.number(),
  high_percent: z.number(),
  rounds: z.number().int().describe('Pairs of turns it rests on'),
})
export type LatencyInterval = z.infer<typeof LatencyInterval>

/** How near a candidate's outputs are to the original's. */
export const Fidelity = z.object({
  sqnr_db: z.number().nullable().describe('Lowest over the outputs; null when an output is not numeric or both are exactly zero'),
  cosine: z.number().nullable(),
  max_abs_error: z.number().nullable(),
  top1_agreement: z.number().nullable().describe('0–1 over the evaluated rows; null without a class output'),
  classes_seen: z.number().int().optional().describe('Different classes among the decisions of the original, at most 100'),
  rows: z.number().int(),
  inputs: z.enum(['supplied', 'generated']),
})
export type Fidelity = z.infer<typeof Fidelity>

/** One candidate that was tried, whatever became of it. */
export const Attempt = z.object({
  name: z.string().describe('e.g. dynamic-int8'),
  settings: JsonObject,
  verdict: z.enum(['accepted', 'rejected', 'failed', 'published']),
  reason: z.string(),
  original: Measurement.optional(),
  candidate: Measurement.optional(),
  fidelity: Fidelity.optional(),
  latency_interval: LatencyInterval.optional(),
  artifact: z.string().optional(),
  sha256: z.string().optional(),
  build_ms: z.number().optional(),
})
export type Attempt = z.infer<typeof Attempt>

/** An optimisation and, once completed, the optimised model. */
export const OptimizedModel = z.object({
  id: z.string(),
  organization_id: z.string(),
  original_model_id: z.string(),
  optimization_method: OptimizationMethod,
  status: z.enum(['optimizing', 'completed', 'failed']),
  storage_path: z.string().nullable(),
  size_reduction_percentage: z.number().nullable(),
  latency_reduction_percentage: z.number().nullable(),
  accuracy_change_percentage: z.number().nullable(),
  accuracy_source: z.enum(['top1_agreement', 'none']).nullable(),
  target_met: z.boolean().nullable(),
  created_at: z.string(),
  updated_at: z.string(),
  metadata: JsonObject,
  /** What was asked, beyond metadata. */
  target_size_bytes: z.number().int().nullable(),
  target_latency_ms: z.number().nullable(),
  calibration_artifact: z.string().nullable(),
  attempts: z.array(Attempt),
  size_bytes: z.number().int().nullable(),
  sha256: z.string().nullable(),
  /** Wall-clock seconds the pipeline computed, for its cost line. */
  compute_seconds: z.number(),
  deleted_at: z.string().optional(),
})
export type OptimizedModel = z.infer<typeof OptimizedModel>

export const OptimizedModelReply = OptimizedModel.omit({ organization_id: true, calibration_artifact: true, deleted_at: true })
export type OptimizedModelReply = z.infer<typeof OptimizedModelReply>
