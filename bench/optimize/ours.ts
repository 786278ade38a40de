import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Attempt } from '../../layers/core/domain/optimization.ts'
import { type SearchResult, searchModel } from '../../layers/optimizers/search.ts'
import type { Subject } from './subjects/subject.ts'

export interface Searched {
  result: SearchResult
  /** Wall-clock seconds, the planning and copying included. */
  wall_s: number
  /** File of every attempt that made one, by its place. */
  files: Record<number, string>
}

export interface SearchRun {
  subject: Subject
  target_latency_ms: number | undefined
  folder: string
  budget_s: number
  tell: (line: string) => void
}

/** Our search as the command line runs it; every candidate's file is kept, so that it can be timed against a peer's. */
export const search = async ({ subject, target_latency_ms, folder, budget_s, tell }: SearchRun): Promise<Searched> => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const scratch_dir = join(folder, 'scratch')
  const files: Record<number, string> = {}
  const started = performance.now()
  const result = await searchModel({
    model_path: subject.model_path,
    output_path: join(folder, 'published.onnx'),
    calibration_path: subject.calibration_path,
    evaluation_path: subject.evaluation_path,
    target_size_bytes: subject.target_size_bytes ?? null,
    target_latency_ms: target_latency_ms ?? null,
    time_budget_s: budget_s,
    metadata: subject.metadata ?? {},
    scratch_dir,
    ...(subject.task && { task: subject.task }),
    onProgress: (progress) => {
      if (progress.kind !== 'tried') return
      const kept = keep(scratch_dir, join(folder, `${progress.place}.onnx`), progress.attempt)
      if (kept) files[progress.place] = kept
      tell(`${progress.place} ${attemptName(progress.attempt)}: ${progress.attempt.verdict}, ${progress.attempt.reason}`)
    },
  })
  return { result, wall_s: (performance.now() - started) / 1000, files }
}

const keep = (scratch_dir: string, path: string, { artifact }: Attempt): string | undefined => {
  const [room] = readdirSync(scratch_dir)
  if (artifact === undefined || room === undefined || !existsSync(join(scratch_dir, room, artifact))) return undefined
  copyFileSync(join(scratch_dir, room, artifact), path)
  return path
}

/** Name and settings in one line, e.g. `dynamic-int8 u8 dense`; with the attempt it was made from. */
export const attemptName = ({ name, settings, base }: Attempt): string => {
  const words = Object.entries(settings).flatMap(([key, value]) =>
    value === true
      ? [key]
      : value === false || value === null
        ? []
        : [typeof value === 'object' ? JSON.stringify(value) : String(value)],
  )
  return [name, ...words, ...(base === undefined ? [] : [`upon ${base}`])].join(' ')
}
