import type { JsonObject } from '../domain/json.ts'
import type { Fidelity, LatencyInterval, Measurement, TaskResult } from '../domain/optimization.ts'
import type { Task } from '../domain/task.ts'

/**
 * Where candidates are built and measured: processes of their own, with limits on time and memory, because model files are
 * foreign. Files come and go as artifacts. Both calls may be repeated; one whose work goes on elsewhere fails with `work_pending`.
 * The signal kills what runs here.
 */
export interface Workbench {
  /**
   * Runs one optimizer over an artifact and stores what it makes as another. `time_ms` is how long that took.
   * Fails with `model_error` (facts.reason: `refused`, `timeout`, `memory`, `crashed`) when this model cannot be had this way.
   */
  build(
    order: BuildOrder,
    signal?: AbortSignal,
  ): Promise<{ size_bytes: number; sha256: string; time_ms: number; notes: string[] }>
  /**
   * Original and candidate side by side, interleaved. Fails with `model_error` (the same facts.reason) or, when supplied
   * calibration data do not fit the model, `invalid_request`.
   */
  measure(
    order: MeasureOrder,
    signal?: AbortSignal,
  ): Promise<{
    original: Measurement
    candidate: Measurement
    fidelity: Fidelity
    latency_interval?: LatencyInterval
    /** Where labels were supplied and a task metric follows from them. */
    task?: TaskResult
  }>
  /** Stops whatever still runs elsewhere for candidates of this folder, and lets go of what it left. Absent: nothing runs elsewhere. */
  abandon?(candidates_folder: string): Promise<void>
}

export interface BuildOrder {
  /** Name of one of the registered optimizers. */
  optimizer: string
  settings: JsonObject
  /** Artifact keys. */
  original: string
  candidate: string
  calibration: string | null
  /** Rows the candidate will be judged by; where there are no others, a part of them fits. */
  evaluation?: string | null
  /** It is given up after so many milliseconds; absent: the workbench's own limit. */
  limit_ms?: number | undefined
}

export interface MeasureOrder {
  original: string
  candidate: string
  calibration: string | null
  evaluation?: string | null
  /** How labels are to be read; absent: by what labels and outputs look like. */
  task?: Task | undefined
  /** Milliseconds for timing and fidelity together; absent: the workbench's own. */
  budget_ms?: number | undefined
  /** Measured again before it is published: more runs than tell candidates apart. */
  thorough?: boolean | undefined
  /** No candidate is fitted: all rows judge, and none are set apart to fit with. */
  unfitted?: boolean | undefined
  /** Outputs so far from the original's that no gate passes them, and the loss of the task that decides: no time is spent beyond those. */
  hopeless?: { sqnr_db: number; top1_agreement: number; task_loss?: number | undefined } | undefined
  /** Output that decides between classes: a name, null for none, undefined to take float outputs of shape [N, C ≥ 2], else labels. */
  class_output: string | null | undefined
  /** Shape of one row by input name, for generated inputs. */
  input_shapes: Record<string, number[]>
}
