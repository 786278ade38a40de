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
  /** Settings of the candidates worth building for what was asked, best guess first; or why none is. */
  suits(
    summary: Inspection,
    asked: { metadata: JsonObject; target_size_bytes: number | null; target_latency_ms: number | null },
  ): JsonObject[] | string
  /** Reads the model file, writes the candidate file. Runs in a child process of its own. */
  apply(input: {
    model_path: string
    candidate_path: string
    settings: JsonObject
    calibration_path: string | null
  }): Promise<{ notes: string[] }>
}

export const defineOptimizer = <O extends Optimizer>(optimizer: O): O => optimizer
