import { createReadStream } from 'node:fs'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { PlatformError } from '../core/contract/errors.ts'
import type { Artifacts } from '../core/ports/artifacts.ts'
import type { Optimizer } from '../core/ports/optimizer.ts'
import type { BuildOrder, Workbench } from '../core/ports/workbench.ts'
import { comparisonRoom } from '../onnx/evaluate/compare-apart.ts'
import { isRunFault } from '../onnx/evaluate/fault.ts'
import { ArrayFault } from '../onnx/evaluate/npy.ts'
import { type BuildRoom, buildRoom } from './build-room.ts'
import { keptRooms } from './kept-rooms.ts'
import { type MeasureLimits, measurePair } from './measure-pair.ts'
import { removeScratch, scratchFolder } from './scratch.ts'

export interface WorkbenchParts {
  artifacts: Pick<Artifacts, 'asFile' | 'put'>
  optimizers: readonly Optimizer[]
  /** Where files lie while they are worked on; every call leaves it as it found it. */
  scratch_dir: string
  limits?: Partial<Limits>
  /** Where long builds leave what lets them go on after an interruption; absent: nowhere. */
  checkpoint_dir?: string
  /** How long processes, and the original loaded in one, stay for the next call after each; absent: not at all. */
  keep_ms?: number
  /** Kills what runs, and what is begun later. */
  signal?: AbortSignal
}

interface Limits extends MeasureLimits {
  build_ms: number
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

export interface LocalWorkbench extends Workbench {
  /** Ends what is kept at hand. */
  close(): Promise<void>
}

/** Candidates are built and measured on this machine, in child processes that are killed past their limits. */
export function localWorkbench(parts: WorkbenchParts): LocalWorkbench {
  const limits = { ...defaults(), ...parts.limits }
  const building = keptRooms(() => buildRoom(limits.memory_bytes, parts.signal), parts.keep_ms ?? 0)
  const comparing = keptRooms(() => comparisonRoom(parts.signal), parts.keep_ms ?? 0)
  return {
    build: (order, signal) =>
      withFiles(parts, [order.original, order.calibration, order.evaluation ?? null], (paths, folder) =>
        building.use((room) => build(parts, limits, { order, paths, folder, room }), signal),
      ),
    measure: (order, signal) =>
      withFiles(parts, [order.original, order.calibration, order.evaluation ?? null, order.candidate], (paths) => {
        const [original = null, calibration = null, evaluation = null, candidate = null] = paths
        if (original === null || candidate === null)
          throw new PlatformError('internal', 'Measuring wants an original and a candidate')
        return comparing.use((room) => measurePair(order, { original, calibration, evaluation, candidate }, limits, room), signal)
      }),
    close: async () => {
      await building.close()
      await comparing.close()
    },
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

interface Building {
  order: BuildOrder
  paths: (string | null)[]
  folder: string
  room: BuildRoom
}

async function build(
  { optimizers, artifacts, checkpoint_dir }: WorkbenchParts,
  limits: Limits,
  { order, paths: [model_path = null, calibration_path = null, evaluation_path = null], folder, room }: Building,
) {
  const { optimizer, settings, limit_ms = limits.build_ms } = order
  const module = optimizers.find(({ name }) => name === optimizer)?.module
  if (module === undefined)
    throw new PlatformError('unavailable_here', `Optimizer ${optimizer} is not registered with its module`)
  const started = performance.now()
  const candidate_path = join(folder, 'candidate.onnx')
  const paths = { model_path, candidate_path, calibration_path, evaluation_path, checkpoint_dir }
  const request = { module, optimizer, settings, ...paths }
  const answer = await room.build(request, `Optimizer ${optimizer}`, Math.min(limits.build_ms, limit_ms))
  if (!answer.ok) {
    const supplied = calibration_path !== null || evaluation_path !== null
    if (answer.reason === 'data' && supplied) throw new PlatformError('invalid_request', answer.detail)
    throw new PlatformError('model_error', answer.detail, { facts: { reason: answer.reason } })
  }
  const written = await artifacts.put(order.candidate, createReadStream(candidate_path))
  return { ...written, time_ms: Math.round(performance.now() - started), notes: answer.notes }
}
