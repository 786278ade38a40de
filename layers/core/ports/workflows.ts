import type { PipelineId } from '../contract/pipelines.ts'
import type { JsonObject } from '../domain/json.ts'

/** Runs the pipelines of `contract/pipelines.ts`. Executions survive a crash and resume at the last finished step. */
export interface Workflows {
  /** Starting the same execution id twice is one execution. */
  start(pipeline: PipelineId, execution_id: string, input: JsonObject): Promise<void>
  status(pipeline: PipelineId, execution_id: string): Promise<ExecutionStatus | undefined>
  /** Raises a flag that steps read through `StepContext.cancelled()`; the pipeline still runs its `lastly`. */
  cancel(pipeline: PipelineId, execution_id: string): Promise<void>
}

export interface ExecutionStatus {
  state: 'running' | 'succeeded' | 'failed'
  /** The state after the last step (without `lastly`) when succeeded. */
  output?: JsonObject
  error?: { code: string; detail: string }
  /** Present once somebody asked to cancel; steps that look will stop. */
  cancel_requested?: true
}

/**
 * What a step gets and gives. The pipeline's state is one JSON object; a step's answer is merged into it.
 * Inside `each`, whose list holds JSON objects, `state` also has `item`; an answer is merged into `item`, so the next step of the
 * round finds it there, and the final items replace `state[list]`, in order.
 * Steps are idempotent: they may run twice. `lastly` gets `{ input…, execution_id, failure?: { code, detail } }`.
 */
export type Step = (state: JsonObject, context: StepContext) => Promise<JsonObject>

export interface StepContext {
  execution_id: string
  /** True once somebody asked to cancel. */
  cancelled(): Promise<boolean>
  /** Aborts when the host is shutting down; the step runs again at the next start. */
  signal: AbortSignal
}
