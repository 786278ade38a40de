import type * as z from 'zod'
import type { JsonObject } from '../domain/json.ts'
import type { Inspection } from '../domain/model.ts'
import type { OptimizationMethod } from '../domain/optimization.ts'

/** One way to make a model smaller or faster. One file and one registry row each; also what user extensions implement. */
export interface Optimizer {
  /** e.g. `dynamic-int8`. */
  name: string
  method: OptimizationMethod
  summary: string
  /**
   * URL of the module that exports it (alone, or in a list `optimizers`): the process that builds candidates loads it from there.
   * `import.meta.url` in its own file; whoever loads extensions fills it where it is missing.
   */
  module?: string
  /** What `metadata.precision` may say for this one to answer, e.g. `int8`. */
  precisions?: readonly string[]
  /** Asked for candidates only where one of its precisions is named. */
  on_request?: true
  settings: z.ZodType
  /** Members of metadata it reads besides what the platform reads: one that is spelt nearly so is refused. */
  reads?: readonly string[]
  /** Settings of the candidates worth building for what was asked, best guess first; or why none is. */
  suits(summary: Inspection, asked: OptimizationAsked): JsonObject[] | string
  /** What to expect of one of its candidates, so that the search can order and leave out; without it, it is tried last. */
  expects?(summary: Inspection, settings: JsonObject): Expectation
  /** Reads the model file, writes the candidate file. Runs in a child process of its own. */
  apply(input: OptimizerInput): Promise<{ notes: string[] }>
}

export interface OptimizationAsked {
  metadata: JsonObject
  target_size_bytes: number | null
  target_latency_ms: number | null
  /** How the machine that will serve multiplies int8: `vnni`, `avx2`, `arm`, `unknown`; absent: this one. */
  int8?: string | undefined
  /** Whether rows of the real kind were supplied (calibration or evaluation data). */
  has_data?: boolean | undefined
}

export interface Expectation {
  /** Of the candidate's file; null when it cannot be told. */
  size_bytes: number | null
  /** At least so many bytes, where `size_bytes` is null. */
  least_bytes?: number | undefined
  /** Signal-to-quantization-noise ratio of the outputs that such candidates typically keep, dB. */
  sqnr_db: number
  /** Candidates of one family lose more the lower their `sqnr_db`: where a mild one is unfaithful, harsher ones are not built. */
  family?: string
  /** Family whose losses it makes good at more effort; it is built only while none of that family as small is accepted. */
  rescues?: string
  /** Its p50 ÷ the original's, where that is known beforehand: 1 for what is only stored otherwise. */
  p50_share?: number
}

export interface OptimizerInput {
  model_path: string
  candidate_path: string
  settings: JsonObject
  /** Rows to fit with, and rows the candidate will be judged by (which also fit where no others are): files as uploaded. */
  calibration_path: string | null
  evaluation_path?: string | null
  /** Where long work may leave what lets it go on after it was ended; absent: nowhere. */
  checkpoint_dir?: string
}

export const defineOptimizer = <O extends Optimizer>(optimizer: O): O => optimizer
