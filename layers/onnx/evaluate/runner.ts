import { int8Support } from '../probe/isa.ts'
import { RunFault } from './fault.ts'
import { startGuarded } from './guarded-process.ts'
import type { Feeds, TensorPort, TensorValue } from './tensors.ts'

export interface LoadRequest {
  id: number
  kind: 'load'
  model_path: string
  threads: number
  level: 'disabled' | 'basic' | 'all'
  /** Avoid int16 saturation on CPUs without VNNI, as serving does. */
  exact_int8: boolean
}

export interface RunRequest {
  id: number
  kind: 'run'
  feeds: Feeds
  warm_up: number
  runs: number
  want_outputs: boolean
}

/** Rows that are run once each, one after the other: in batches, activations would be quantized by other rows' ranges. */
export interface RowsRequest {
  id: number
  kind: 'rows'
  rows: Feeds[]
}

export interface Loaded {
  load_ms: number
  rss_before_bytes: number
  inputs: TensorPort[]
  outputs: TensorPort[]
}

export interface RunAnswer {
  latencies_ms: number[]
  /** Of the last run; empty unless asked for. Outputs that are no tensors are left out. */
  outputs: Record<string, TensorValue>
  rss_bytes: number
}

/** One model in a process of its own. Every call fails with RunFault; after `timeout`, `memory` or `crashed` only `stop` is left. */
export interface ModelRunner {
  load(timeout_ms: number): Promise<Loaded>
  run(feeds: Feeds, options: { warm_up?: number; runs?: number; want_outputs?: boolean; timeout_ms: number }): Promise<RunAnswer>
  /** The outputs of each row; one message there and back, which for small models costs more than the runs. */
  runRows(rows: Feeds[], options: { timeout_ms: number }): Promise<Record<string, TensorValue>[]>
  stop(): Promise<void>
}

export interface RunnerOptions {
  model_path: string
  memory_limit_bytes: number
  threads?: number
  level?: LoadRequest['level']
  /** How faults call it, e.g. `The candidate`. */
  label?: string
}

const childEntry = new URL('./child.ts', import.meta.url)

/** Starts the process; the model is loaded by `load`. Call `stop` in a finally. */
export function startRunner(options: RunnerOptions): ModelRunner {
  const label = options.label ?? 'The model'
  const guarded = startGuarded(childEntry, { memory_bytes: options.memory_limit_bytes, label })
  const ask = async <Answer>(request: object, timeout_ms: number): Promise<Answer> => {
    const answer = await guarded.ask(request, timeout_ms)
    // Both ends are this folder's code; what the model did shows only inside `ok: false`.
    const reply = answer as { ok: true } | { ok: false; detail: string }
    if (!reply.ok) throw new RunFault('model_error', `${label} could not be run: ${reply.detail}`)
    return reply as Answer
  }
  return {
    load: (timeout_ms) =>
      ask<Loaded>(
        {
          kind: 'load',
          model_path: options.model_path,
          threads: options.threads ?? 1,
          level: options.level ?? 'all',
          exact_int8: !['vnni', 'arm'].includes(int8Support()),
        },
        timeout_ms,
      ),
    run: (feeds, { warm_up = 0, runs = 1, want_outputs = false, timeout_ms }) =>
      ask<RunAnswer>({ kind: 'run', feeds, warm_up, runs, want_outputs }, timeout_ms),
    runRows: async (rows, { timeout_ms }) => {
      const { outputs } = await ask<{ outputs: Record<string, TensorValue>[] }>({ kind: 'rows', rows }, timeout_ms)
      return outputs
    },
    stop: () => guarded.stop(),
  }
}
