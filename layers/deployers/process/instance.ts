/**
 * What this deployer needs of a model process. The serving core's `startInstance` is one; it is handed in by the composition,
 * because adapters do not import each other.
 */
export interface ModelInstance {
  readonly pid: number
  readonly loaded: Promise<void>
  readonly exited: Promise<string>
  readonly alive: boolean
  readonly in_flight: number
  /** `performance.now()` of the last answer, or of the first call after idleness. */
  readonly progress_at: number
  readonly tuned: Promise<{ batch_limit: number }>
  open(options: ModelOpening): Promise<{ open_ms: number; probed: boolean }>
  call(request: ModelCall, done: (error: Error | undefined, reply: ModelReply | undefined) => void): { cancel(): void }
  /** What it kept of its inputs, as a file; undefined where it keeps none or has nothing new. */
  sample(): Promise<readonly Uint8Array[] | undefined>
  kill(reason: string): void
}

export interface ModelOpening {
  model_path: string
  name: string
  version: string
  threads: number
  tier: 'first_tier' | 'two_tiers' | 'second_tier'
  max_batch: number
  /** Which sample of its inputs it keeps. */
  record?: { rows: number; rate?: number | undefined; max_bytes?: number | undefined } | undefined
}

export interface ModelCall {
  method: string
  path: string
  headers: Readonly<Record<string, string | undefined>>
  body: readonly Uint8Array[]
}

export interface ModelReply {
  status: number
  headers: Record<string, string>
  body: readonly Uint8Array[]
  usage: { compute_us: number; cpu_us: number; batch_size: number }
}

/** `cwd` is an empty folder. */
export type StartInstance = (cwd: string) => ModelInstance

/** Writes the model with its weights as mappable external data into `out_dir`; `files` are the names written. */
export type WriteServingForm = (model_path: string, out_dir: string) => Promise<{ model_path: string; files: string[] }>
