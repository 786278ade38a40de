import * as z from 'zod'
import { JsonObject } from './json.ts'
import { Task, TaskMetric } from './task.ts'

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
  estimate_percent: z.number().optional().describe('The latency reduction: by the median ratio of pairs of turns'),
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
  rows_available: z.number().int().optional().describe('More than `rows` where the time ended first'),
  rows_shared: z
    .number()
    .int()
    .optional()
    .describe('Of `rows`, those the candidate may also have been fitted to: what they prove is a fit'),
  rows_different: z
    .number()
    .int()
    .optional()
    .describe('Of supplied rows, different ones that the original answers with numbers; counted up to what a verdict wants'),
  inputs: z.enum(['supplied', 'generated']),
})
export type Fidelity = z.infer<typeof Fidelity>

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
  /** What it is expected to keep; the ladder is climbed from the highest down. 0 where its optimizer tells nothing. */
  expected_sqnr_db: z.number(),
  expected_size_bytes: z.number().nullable(),
  /** Candidates of one family lose more the lower they stand in it; absent: its own alone. */
  family: z.string().optional(),
  /** Family whose losses it makes good at more effort: where one of that family and size is accepted, it is not built. */
  rescues: z.string().optional(),
  /** At least so many, where how many exactly is not known. */
  least_size_bytes: z.number().optional(),
  /** Its p50 ÷ the original’s, where its kind tells before any measurement. */
  expected_p50_share: z.number().optional(),
})
export type PlannedAttempt = z.infer<typeof PlannedAttempt>

/** One candidate that was tried, whatever became of it; `skipped` ones were not built, with the reason. */
export const Attempt = z.object({
  name: z.string().describe('e.g. dynamic-int8'),
  settings: JsonObject,
  /** Place of the attempt whose file this one was made from; absent: the original’s. */
  base: z.number().int().optional(),
  /** Which turn of the search it is; absent where nothing was to be built. */
  slot: z.number().int().optional(),
  verdict: z.enum(['accepted', 'rejected', 'failed', 'published', 'skipped']),
  reason: z.string(),
  original: Measurement.optional(),
  candidate: Measurement.optional(),
  fidelity: Fidelity.optional(),
  latency_interval: LatencyInterval.optional(),
  task: TaskResult.optional(),
  cost_per_1000: InferenceCost.optional(),
  expected_size_bytes: z.number().nullable().optional(),
  confirmed: z.literal(true).optional().describe('Its figures are of a second, longer measurement, made before it was published'),
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
  accuracy_source: z.enum(['task_metric', 'top1_agreement', 'none']).nullable(),
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
  /** What was asked at the top of the request; it wins over the members of metadata with these names. */
  accuracy_gate: z.union([z.number(), JsonObject]).nullable().default(null),
  task: Task.nullable().default(null),
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

/** How far a search is. */
export const SearchProgress = z.object({
  tried: z.number().int().describe('Candidates measured, or found impossible'),
  planned: z.number().int().describe('Candidates the search may build; it usually ends before'),
  spent_s: z.number().describe('Seconds of building and measuring so far'),
  budget_s: z.number(),
  doing: z.string().nullable().describe('null once it has ended'),
})
export type SearchProgress = z.infer<typeof SearchProgress>

export const OptimizedModelDetail = OptimizedModelReply.extend({
  pareto: z
    .array(z.number().int())
    .describe('Places in `attempts` that nothing measured equals or beats in bytes, p50 and loss together, fewest bytes first'),
  progress: SearchProgress,
})
export type OptimizedModelDetail = z.infer<typeof OptimizedModelDetail>

/** Whether an attempt came to its end, well or not: one that was skipped or is still to be measured did not. */
export const isTried = ({ verdict, candidate }: Attempt): boolean =>
  verdict === 'failed' || (verdict !== 'skipped' && candidate !== undefined)
