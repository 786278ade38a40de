import type { Result } from '../core/domain/choose-candidate.ts'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import type { Attempt, OptimizationMethod } from '../core/domain/optimization.ts'
import type { PriceBook } from '../core/domain/price.ts'
import type { Task } from '../core/domain/task.ts'
import type { ModelInspector } from '../core/ports/model-inspector.ts'
import type { Optimizer } from '../core/ports/optimizer.ts'
import type { SearchPlan } from '../core/usecases/plan-search.ts'
import type { WorkbenchParts } from './workbench.ts'

/** What a search wants; all but the model may be left out. */
export interface SearchOptions {
  model_path: string
  /** Where the chosen model is written, whole or not at all; null or absent: nowhere. */
  output_path?: string | null
  /** `auto` unless said otherwise. */
  method?: OptimizationMethod
  target_size_bytes?: number | null
  target_latency_ms?: number | null
  /** Rows to fit with, and rows to judge by, perhaps labelled. */
  calibration_path?: string | null
  evaluation_path?: string | null
  /** Least top-1 agreement, or `{ top1_agreement, sqnr_db, task_loss }`. */
  accuracy_gate?: number | JsonObject | null
  task?: Partial<Task> | null
  /** Whose price is stated, and whose int8 is made: `this-machine`, `lambda-arm64`, `lambda-x86_64`, with `-<MB>`. */
  target?: string
  /** Seconds of building and measuring after which no further candidate is begun; by the model's size unless given. */
  time_budget_s?: number | null
  metadata?: JsonObject
  optimizers?: readonly Optimizer[]
  inspector?: ModelInspector
  /** Absent: costs are not stated. */
  prices?: PriceBook
  /** Folder for what is being worked on, emptied at the end; absent: the system's temporary one. */
  scratch_dir?: string
  limits?: WorkbenchParts['limits']
  onProgress?: (progress: SearchProgress) => void
  /** Ends the search: processes die, what was measured so far is answered with `interrupted`, nothing is written. */
  signal?: AbortSignal
}

export interface Spending {
  spent_s: number
  budget_s: number
}
export type SearchProgress =
  | { kind: 'planned'; inspection: Inspection; plan: SearchPlan; budget_s: number }
  | ({ kind: 'building' | 'measuring'; place: number; name: string; settings: JsonObject; base?: number } & Spending)
  | ({ kind: 'tried'; place: number; attempt: Attempt } & Spending)

export interface SearchResult extends SearchPlan {
  inspection: Inspection
  original: { path: string; size_bytes: number }
  target_size_bytes: number | null
  target_latency_ms: number | null
  target: string
  /** All that was tried, in order; `published` is the one chosen. */
  attempts: Attempt[]
  /** Places of the attempts that none other beats in size, time and loss together. */
  pareto: number[]
  chosen: { index: number; path: string | null; size_bytes: number; sha256: string } | null
  /** Percentages of what was chosen, else of what came nearest. */
  result: Result
  /** Null without targets, and where nothing is acceptable. */
  target_met: boolean | null
  /** Why the search ended, and why nothing was chosen where nothing was. */
  reason: string
  interrupted: boolean
  spent_s: number
  budget_s: number
}
