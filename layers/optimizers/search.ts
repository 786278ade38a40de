import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { PlatformError } from '../core/contract/errors.ts'
import { askedMetadata, OptimizationWishes } from '../core/domain/accuracy-gate.ts'
import { chooseCandidate } from '../core/domain/choose-candidate.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defaultBudget_s, type Next, nextAttempt } from '../core/domain/next-attempt.ts'
import type { Attempt } from '../core/domain/optimization.ts'
import { int8Of } from '../core/domain/optimization-target.ts'
import { paretoFront } from '../core/domain/pareto.ts'
import type { SearchState } from '../core/domain/search-state.ts'
import type { Task } from '../core/domain/task.ts'
import { checkSpelling, nothingToTry } from '../core/usecases/check-asked.ts'
import { planSearch, type SearchPlan } from '../core/usecases/plan-search.ts'
import { onnxInspector } from '../inspector/onnx.ts'
import { optimizers as builtIn } from './index.ts'
import { removeScratch, scratchFolder } from './scratch.ts'
import { checkWritable, copyWhole, folderArtifacts, sizeOfFile } from './search-files.ts'
import type { SearchOptions, SearchResult } from './search-result.ts'
import { confirmCandidate, type Tried, tryCandidate } from './try-candidate.ts'
import { localWorkbench } from './workbench.ts'

export type { SearchOptions, SearchProgress, SearchResult } from './search-result.ts'

const ROOM = `aideploy-optimize-${process.getuid?.() ?? 'user'}`

/**
 * Searches for the best acceptable candidate of a model file, without the platform: plans, builds and measures in processes of
 * their own until the targets are met, nothing is left that could help, or the budget is used.
 * Fails with `invalid_model` when the file is none, `invalid_request` when data, output or wishes are not usable.
 */
export async function searchModel(options: SearchOptions): Promise<SearchResult> {
  const { model_path, output_path = null, calibration_path = null, evaluation_path = null } = options
  const size_bytes = await sizeOfFile(model_path, 'Model')
  if (calibration_path !== null) await sizeOfFile(calibration_path, 'Calibration data')
  if (evaluation_path !== null) await sizeOfFile(evaluation_path, 'Evaluation data')
  if (output_path !== null) await checkWritable(output_path, [model_path, calibration_path, evaluation_path])
  const inspector = options.inspector ?? onnxInspector()
  const inspection = await inspector.inspect(resolve(model_path), { framework: 'onnx', file_name: basename(model_path) })
  const folder = await scratchFolder(options.scratch_dir ?? join(tmpdir(), ROOM))
  try {
    return await searched(options, inspection, size_bytes, folder)
  } finally {
    await removeScratch(folder)
  }
}

/** How optimizers refuse a member of metadata. */
const UNUSABLE_MEMBER = /^metadata\.\S+ is not usable/

/** What optimizers and judges are asked, from the options. */
function asked(options: SearchOptions): SearchState['asked'] {
  const { metadata = {}, accuracy_gate = null, task = null } = options
  const merged = askedMetadata({ metadata, accuracy_gate, task: task as Task | null })
  const parsed = OptimizationWishes.safeParse(merged)
  if (!parsed.success) {
    const [first] = parsed.error.issues
    throw new PlatformError('invalid_request', `${first?.path.map(String).join('.')}: ${first?.message}`)
  }
  return {
    metadata: merged,
    target_size_bytes: options.target_size_bytes ?? null,
    target_latency_ms: options.target_latency_ms ?? null,
    method: options.method ?? 'auto',
  }
}

async function searched(
  options: SearchOptions,
  inspection: Inspection,
  original_size_bytes: number,
  folder: string,
): Promise<SearchResult> {
  const {
    onProgress,
    signal,
    optimizers = builtIn,
    target = 'this-machine',
    calibration_path = null,
    evaluation_path = null,
  } = options
  const wishes = asked(options)
  checkSpelling(optimizers, wishes.metadata)
  const plan = planSearch(optimizers, inspection, {
    ...wishes,
    int8: int8Of(target),
    has_data: calibration_path !== null || evaluation_path !== null,
  })
  const budget_s = options.time_budget_s ?? defaultBudget_s(original_size_bytes)
  // Metadata are the caller's own on the platform; here nothing else is meant by them.
  const unusable = plan.left_out.find(({ reason }) => UNUSABLE_MEMBER.test(reason))
  if (unusable) throw new PlatformError('invalid_request', unusable.reason)
  onProgress?.({ kind: 'planned', inspection, plan, budget_s })
  // Processes of their own stand in folders of their own.
  const absolute = (path: string | null): string | null => (path === null ? null : resolve(path))
  const files = {
    original: resolve(options.model_path),
    calibration: absolute(calibration_path),
    evaluation: absolute(evaluation_path),
  }
  const bench = localWorkbench({
    artifacts: folderArtifacts(folder, files),
    optimizers,
    scratch_dir: folder,
    keep_ms: Number.POSITIVE_INFINITY,
    ...(options.limits && { limits: options.limits }),
    ...(signal && { signal }),
  })
  const state = {
    ...plan,
    attempts: [] as Attempt[],
    asked: wishes,
    original_size_bytes,
    spent_ms: 0,
    budget_ms: budget_s * 1000,
  }
  const reason = await climb({ options, state, bench, target, budget_s }).finally(() => bench.close())
  const common = {
    ...plan,
    inspection,
    original: { path: options.model_path, size_bytes: original_size_bytes },
    target,
    budget_s,
  }
  const { target_size_bytes, target_latency_ms } = wishes
  const outcome = await ending(options, state, folder, reason)
  return { ...common, target_size_bytes, target_latency_ms, ...outcome, spent_s: state.spent_ms / 1000 }
}

/** Tries candidate after candidate into `state`; answers why it ended. */
async function climb({ options, state, bench, target, budget_s }: Climb): Promise<string> {
  const { onProgress, signal, prices, calibration_path, evaluation_path } = options
  while (!signal?.aborted) {
    const next = nextAttempt(state)
    const spending = () => ({ spent_s: state.spent_ms / 1000, budget_s })
    const note = (attempt: Attempt, place: number) => {
      state.attempts[place] = attempt
      onProgress?.({ kind: 'tried', place, attempt, ...spending() })
    }
    for (const attempt of next.skipped) note(attempt, state.attempts.length)
    if (next.step === 'done') return next.reason
    const place = next.step === 'confirm' ? next.place : state.attempts.length
    const { name, settings, base } = madeOf(next, state)
    const data = { calibration: calibration_path ? 'calibration' : null, evaluation: evaluation_path ? 'evaluation' : null }
    const doing = (kind: 'building' | 'measuring') =>
      onProgress?.({ kind, place, name, settings, ...(base !== undefined && { base }), ...spending() })
    const parts = { bench, data, state, target, prices, doing }
    const trying = next.step === 'confirm' ? confirmCandidate({ ...parts, next }) : tryCandidate({ ...parts, next, place })
    const tried: Tried = await trying.catch((error: unknown) => {
      if (signal?.aborted) return { spent_ms: 0 }
      throw error
    })
    state.spent_ms += tried.spent_ms
    if (tried.attempt && !signal?.aborted) note(tried.attempt, place)
  }
  return 'Interrupted'
}

/** What is built, or measured again. */
function madeOf(next: Exclude<Next, { step: 'done' }>, { attempts }: SearchState): Pick<Attempt, 'name' | 'settings' | 'base'> {
  if (next.step === 'try') return { ...next, name: next.optimizer }
  const known = attempts[next.place]
  if (!known) throw new PlatformError('internal', `Attempt ${next.place}, to be confirmed, is unknown`)
  return known
}

interface Climb {
  options: SearchOptions
  state: SearchState & SearchPlan & { attempts: Attempt[] }
  bench: ReturnType<typeof localWorkbench>
  target: string
  budget_s: number
}

/** What is chosen of all that was tried, written where it was wanted. */
async function ending(options: SearchOptions, state: Climb['state'], folder: string, reason: string) {
  const { output_path = null, signal } = options
  const choice = chooseCandidate(state.attempts, state.asked)
  const interrupted = signal?.aborted === true
  const failure =
    state.plan.length > 0 ? `${reason}. ${choice.outcome === 'failed' ? choice.error : ''}` : nothingToTry(state.left_out)
  const published = !interrupted && choice.outcome === 'completed' ? choice.index : undefined
  const found = published === undefined ? undefined : state.attempts[published]
  if (found?.artifact && output_path !== null) await copyWhole(join(folder, found.artifact), output_path)
  const attempts = state.attempts.map(({ artifact: _, ...attempt }, index) =>
    index === published ? { ...attempt, verdict: 'published' as const } : attempt,
  )
  const chosen =
    published === undefined
      ? null
      : { index: published, path: output_path, size_bytes: found?.candidate?.size_bytes ?? 0, sha256: found?.sha256 ?? '' }
  return {
    attempts,
    pareto: paretoFront(attempts),
    chosen,
    result: choice.result,
    target_met: chosen ? choice.result.target_met : null,
    reason: interrupted || choice.outcome === 'completed' ? reason : failure,
    interrupted,
  }
}
