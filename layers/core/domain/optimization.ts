import * as z from 'zod'
import { JsonObject } from './json.ts'

/** `auto` searches over all methods, mildest first, until the targets are met. */
export const OptimizationMethod = z.enum(['auto', 'quantization', 'pruning', 'distillation', 'custom'])
export type OptimizationMethod = z.infer<typeof OptimizationMethod>

/** Lower and upper end of a 95 % confidence interval. */
const Interval = z.tuple([z.number(), z.number()])

/** Latency and size of one file, measured in its own process. `latency_ms` are of single runs on `machine`. */
export const Measurement = z.object({
  size_bytes: z.number().int(),
  p50_ms: z.number(),
  p95_ms: z.number(),
  p50_interval_ms: Interval.optional(),
  p95_interval_ms: Interval.optional(),
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
  kl_divergence: z
    .number()
    .nullable()
    .optional()
    .describe('Mean nats from the original’s class probabilities; null without a class output'),
  rows: z.number().int(),
  inputs: z.enum(['supplied', 'generated']),
})
export type Fidelity = z.infer<typeof Fidelity>

/** How well a task is done, judged by labels. Higher is better for all but the errors (cer, mae, rmse). */
export const TaskMetric = z.enum(['accuracy', 'exact_match', 'f1', 'cer', 'map', 'mae', 'rmse', 'r2'])
export type TaskMetric = z.infer<typeof TaskMetric>

export const TaskScore = z.object({
  value: z.number(),
  interval: Interval.describe('95 %: Wilson’s for shares (accuracy, exact_match), else bootstrap over rows'),
})
export type TaskScore = z.infer<typeof TaskScore>

/** The task metric of original and candidate over the same labelled rows. */
export const TaskResult = z.object({
  metric: TaskMetric,
  rows: z.number().int(),
  original: TaskScore,
  candidate: TaskScore,
  loss: TaskScore.describe('How much worse the candidate is, in the metric’s unit, positive is worse; paired over rows'),
})
export type TaskResult = z.infer<typeof TaskResult>

/** What 1,000 inferences one after another cost on the target, by the measured p50. */
export const InferenceCost = z.object({
  target: z.string(),
  original_usd: z.number().nullable(),
  candidate_usd: z.number().nullable(),
  basis: z.string(),
})
export type InferenceCost = z.infer<typeof InferenceCost>

/** A candidate the search may build. */
export const PlannedAttempt = z.object({
  optimizer: z.string(),
  method: OptimizationMethod,
  settings: JsonObject,
  /** What it is expected to keep; the ladder is climbed from the highest down. */
  expected_sqnr_db: z.number(),
  expected_size_bytes: z.number().nullable(),
})
export type PlannedAttempt = z.infer<typeof PlannedAttempt>

/** One candidate that was tried, whatever became of it; `skipped` ones were not built, with the reason. */
export const Attempt = z.object({
  name: z.string().describe('e.g. dynamic-int8'),
  settings: JsonObject,
  /** Place of the attempt whose file this one was made from; absent: the original’s. */
  base: z.number().int().optional(),
  verdict: z.enum(['accepted', 'rejected', 'failed', 'published', 'skipped']),
  reason: z.string(),
  original: Measurement.optional(),
  candidate: Measurement.optional(),
  fidelity: Fidelity.optional(),
  latency_interval: LatencyInterval.optional(),
  task: TaskResult.optional(),
  cost_per_1000: InferenceCost.optional(),
  expected_size_bytes: z.number().nullable().optional(),
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
  /** e.g. `this-machine`, `lambda-arm64`, `lambda-x86_64-3008`. */
  target: z.string().default('this-machine'),
  /** Seconds of building and measuring after which no further candidate is begun. */
  time_budget_s: z.number().nullable().default(null),
  calibration_artifact: z.string().nullable(),
  evaluation_artifact: z.string().nullable().default(null),
  /** Candidates the search knows of from the start, mildest first. */
  plan: z.array(PlannedAttempt).default([]),
  attempts: z.array(Attempt),
  size_bytes: z.number().int().nullable(),
  sha256: z.string().nullable(),
  /** Wall-clock seconds the pipeline computed, for its cost line. */
  compute_seconds: z.number(),
  deleted_at: z.string().optional(),
})
export type OptimizedModel = z.infer<typeof OptimizedModel>

export const OptimizedModelReply = OptimizedModel.omit({
  organization_id: true,
  calibration_artifact: true,
  evaluation_artifact: true,
  deleted_at: true,
})
export type OptimizedModelReply = z.infer<typeof OptimizedModelReply>
