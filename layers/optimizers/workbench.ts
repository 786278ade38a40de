import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import { SLOWEST_ACCEPTED_PERCENT } from '../core/domain/judge-candidate.ts'
import type { Artifacts } from '../core/ports/artifacts.ts'
import type { Optimizer } from '../core/ports/optimizer.ts'
import type { BuildOrder, MeasureOrder, Workbench } from '../core/ports/workbench.ts'
import { compareApart } from '../onnx/evaluate/compare-apart.ts'
import { isRunFault } from '../onnx/evaluate/fault.ts'
import { startGuarded } from '../onnx/evaluate/guarded-process.ts'
import { ArrayFault } from '../onnx/evaluate/npy.ts'
import type { Timing } from '../onnx/evaluate/timing.ts'
import { removeScratch, scratchFolder } from './scratch.ts'

export interface WorkbenchParts {
  artifacts: Pick<Artifacts, 'asFile' | 'put'>
  optimizers: readonly Optimizer[]
  /** Where files lie while they are worked on; every call leaves it as it found it. */
  scratch_dir: string
  limits?: Partial<Limits>
}

interface Limits {
  memory_bytes: number
  build_ms: number
  load_ms: number
  run_ms: number
  /** Timing and fidelity of one candidate together. */
  measure_ms: number
  /** All of a comparison, loading included; below the time limit of its step. */
  compare_ms: number
}

const GIB = 2 ** 30
/** Half the machine, between 2 and 8 GiB: two of these processes run side by side while measuring. */
const memoryLimit = (): number => Math.min(8 * GIB, Math.max(2 * GIB, totalmem() / 2))
const defaults = (): Limits => ({
  memory_bytes: memoryLimit(),
  build_ms: 600_000,
  load_ms: 120_000,
  run_ms: 30_000,
  measure_ms: 8000,
  compare_ms: 600_000,
})

const buildEntry = new URL('./build-child.ts', import.meta.url)
const BuildAnswer = z.union([
  z.object({ ok: z.literal(true), notes: z.array(z.string()) }),
  z.object({ ok: z.literal(false), detail: z.string() }),
])

/** Candidates are built and measured on this machine, in child processes that are killed past their limits. */
export function localWorkbench(parts: WorkbenchParts): Workbench {
  const limits = { ...defaults(), ...parts.limits }
  return {
    build: (order) =>
      withFiles(parts, [order.original, order.calibration], (paths, folder) => build(parts, limits, order, paths, folder)),
    measure: (order) =>
      withFiles(parts, [order.original, order.calibration, order.candidate], (paths) => measure(limits, order, paths)),
  }
}

/** Runs `work` with artifacts as files (null stays null) and an empty folder, and gives both back whatever happens. */
async function withFiles<Answer>(
  { artifacts, scratch_dir }: WorkbenchParts,
  keys: (string | null)[],
  work: (paths: (string | null)[], folder: string) => Promise<Answer>,
): Promise<Answer> {
  const folder = await scratchFolder(scratch_dir)
  const files: { path: string; release(): Promise<void> }[] = []
  try {
    const paths: (string | null)[] = []
    for (const key of keys) {
      const file = key === null ? null : await artifacts.asFile(key)
      if (file) files.push(file)
      paths.push(file?.path ?? null)
    }
    return await work(paths, folder)
  } catch (error) {
    throw translated(error)
  } finally {
    await Promise.all(files.map((file) => file.release()))
    await removeScratch(folder)
  }
}

function translated(error: unknown): unknown {
  if (isRunFault(error)) {
    const reason = error.reason === 'model_error' ? 'refused' : error.reason
    return new PlatformError('model_error', error.message, { facts: { reason }, cause: error })
  }
  if (error instanceof ArrayFault) return new PlatformError('invalid_request', error.message, { cause: error })
  return error
}

async function build(
  { optimizers, artifacts }: WorkbenchParts,
  limits: Limits,
  order: BuildOrder,
  [model_path = null, calibration_path = null]: (string | null)[],
  folder: string,
) {
  const module = optimizers.find(({ name }) => name === order.optimizer)?.module
  if (module === undefined)
    throw new PlatformError('unavailable_here', `Optimizer ${order.optimizer} is not registered with its module`)
  const started = performance.now()
  const candidate_path = join(folder, 'candidate.onnx')
  const child = startGuarded(buildEntry, { memory_bytes: limits.memory_bytes, label: `Optimizer ${order.optimizer}` })
  try {
    const request = { module, optimizer: order.optimizer, settings: order.settings, model_path, candidate_path, calibration_path }
    const answer = BuildAnswer.parse(await child.ask(request, limits.build_ms))
    if (!answer.ok) throw new PlatformError('model_error', answer.detail, { facts: { reason: 'refused' } })
    const written = await artifacts.put(order.candidate, createReadStream(candidate_path))
    return { ...written, time_ms: Math.round(performance.now() - started), notes: answer.notes }
  } finally {
    await child.stop()
  }
}

async function measure(
  limits: Limits,
  order: MeasureOrder,
  [original = null, calibration = null, candidate = null]: (string | null)[],
) {
  if (original === null || candidate === null) throw new PlatformError('internal', 'Measuring wants an original and a candidate')
  const request = {
    original_path: original,
    candidate_path: candidate,
    arrays_path: calibration,
    shapes: order.input_shapes,
    ...(order.class_output === undefined ? {} : { class_output: order.class_output }),
    line_percent: SLOWEST_ACCEPTED_PERCENT,
    budget_ms: limits.measure_ms,
    threads: 1,
    memory_limit_bytes: limits.memory_bytes,
    load_limit_ms: limits.load_ms,
    run_limit_ms: limits.run_ms,
  }
  const result = await compareApart(request, limits.compare_ms)
  const { decisions: _, ...fidelity } = result.fidelity
  return {
    original: await measurement(original, result.original),
    candidate: await measurement(candidate, result.candidate),
    fidelity: { ...fidelity, sqnr_db: fidelity.sqnr_db === null ? null : rounded(fidelity.sqnr_db, 2) },
    latency_interval: {
      low_percent: rounded(result.interval.low_percent, 2),
      high_percent: rounded(result.interval.high_percent, 2),
      rounds: result.interval.rounds,
    },
  }
}

/** Microseconds are as fine as a clock tells here; more digits would pretend. */
const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))
const measurement = async (path: string, { p50_ms, p95_ms, ...rest }: Timing) => ({
  ...rest,
  p50_ms: rounded(p50_ms, 4),
  p95_ms: rounded(p95_ms, 4),
  size_bytes: (await stat(path)).size,
})
