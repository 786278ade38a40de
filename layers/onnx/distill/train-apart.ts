import { type GuardedProcess, startGuarded } from '../evaluate/guarded-process.ts'
import { ArrayFault } from '../evaluate/npy.ts'
import { OnnxFault, type OnnxFaultCode } from '../fault.ts'
import type { CurvePoint } from '../train/run.ts'
import type { Advanced, Finished, Opened, TrainingJob, TrainingRequest } from './job.ts'

export interface TrainingLimits {
  memory_bytes: number
  /** For all steps together; training stops there, and what it learned by then counts. */
  budget_ms: number
  /** For reading the model, deriving the student and asking the teacher. */
  open_ms: number
  /** For one round of steps beyond the time it was given: a single step may be this slow. */
  step_ms: number
}

export interface Progress {
  step: number
  steps: number
  /** Of the last point of the curve. */
  loss: number | undefined
}

export interface TrainingOptions {
  limits?: Partial<TrainingLimits>
  /** Told about once a second. */
  on_progress?: ((progress: Progress) => void) | undefined
  /** Ends the process; the promise then rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

/** What training came to. The candidate is written in every case, also when the time ran out first. */
export interface Trained extends Opened, Finished {
  steps: number
  stopped: 'steps' | 'budget'
  curve: CurvePoint[]
  time_ms: number
}

const GIB = 2 ** 30
const defaults: TrainingLimits = { memory_bytes: 4 * GIB, budget_ms: 600_000, open_ms: 300_000, step_ms: 60_000 }
const ROUND_MS = 1000

const entry = new URL('./training-child.ts', import.meta.url)

type Answer = { ok: true; opened: Opened; advanced: Advanced; finished: Finished } | { ok: false; kind: string; detail: string }

const codes: readonly string[] = [
  'empty',
  'not_a_model',
  'truncated',
  'unsupported',
  'unsafe',
  'unknown_domain',
  'external_data_missing',
] satisfies OnnxFaultCode[]
const isCode = (kind: string): kind is OnnxFaultCode => codes.includes(kind)

const ask = async (child: GuardedProcess, request: TrainingRequest, limit_ms: number): Promise<Extract<Answer, { ok: true }>> => {
  // Both ends are this folder's code.
  const answer = (await child.ask(request, limit_ms)) as Answer
  if (answer.ok) return answer
  if (answer.kind === 'arrays') throw new ArrayFault(answer.detail)
  throw isCode(answer.kind) ? new OnnxFault(answer.kind, answer.detail) : new Error(`The training failed: ${answer.detail}`)
}

/**
 * Trains in a process of its own, in rounds of a second, so that progress shows and the time budget holds.
 * @throws OnnxFault, ArrayFault as the job does; RunFault `timeout`, `memory` or `crashed`; the signal's reason when cancelled
 */
export const trainApart = async (job: TrainingJob, options: TrainingOptions = {}): Promise<Trained> => {
  const limits = { ...defaults, ...options.limits }
  options.signal?.throwIfAborted()
  const child = startGuarded(entry, { memory_bytes: limits.memory_bytes, label: 'The training' })
  const cancel = (): void => void child.stop()
  options.signal?.addEventListener('abort', cancel, { once: true })
  try {
    const { opened } = await ask(child, { kind: 'open', job }, limits.open_ms)
    const trained = await trainInRounds(child, job, limits, options)
    const { finished } = await ask(child, { kind: 'finish' }, limits.open_ms)
    return { ...opened, ...trained, ...finished }
  } catch (error) {
    options.signal?.throwIfAborted()
    throw error
  } finally {
    options.signal?.removeEventListener('abort', cancel)
    await child.stop()
  }
}

const trainInRounds = async (
  child: GuardedProcess,
  job: TrainingJob,
  limits: TrainingLimits,
  { on_progress }: TrainingOptions,
): Promise<Pick<Trained, 'steps' | 'stopped' | 'curve' | 'time_ms'>> => {
  const started = performance.now()
  const curve: CurvePoint[] = []
  let step = 0
  let steps = job.steps
  for (;;) {
    const left_ms = limits.budget_ms - (performance.now() - started)
    if (step >= steps || left_ms <= 0) break
    const limit_ms = Math.min(ROUND_MS, left_ms)
    const { advanced } = await ask(child, { kind: 'advance', until_step: job.steps, limit_ms }, limit_ms + limits.step_ms)
    step = advanced.step
    steps = advanced.steps
    curve.push(...advanced.curve)
    on_progress?.({ step, steps, loss: curve.at(-1)?.loss })
  }
  return { steps: step, stopped: step >= steps ? 'steps' : 'budget', curve, time_ms: Math.round(performance.now() - started) }
}
