import { PlatformError } from '../contract/errors.ts'
import { defaultBudget_s, nextAttempt, type Trial } from '../domain/next-attempt.ts'
import type { Attempt, OptimizedModel } from '../domain/optimization.ts'
import { asDuplicate, sameFile } from '../domain/search-state.ts'
import type { App } from '../ports/app.ts'
import type { StepContext } from '../ports/workflows.ts'
import { checkStillWanted, whileWanted } from './check-still-wanted.ts'
import { findOptimization, noteAttempts, type OptimizationRef, optimizationArtifact } from './optimization-records.ts'
import { searchAsked } from './plan-candidates.ts'
import { refusedBuild } from './refused-build.ts'

/** What the steps that build and measure in one turn are given. */
export interface CandidateWork {
  /** The original's artifact. */
  original: string
  /** Which turn of the search it is. */
  slot: number
  cancelled: StepContext['cancelled']
}

type Parts = Pick<App, 'records' | 'workbench' | 'now'>

/**
 * One turn of the search: asks what to try next, builds it and stores it as an artifact of the optimisation. A turn that is repeated
 * finds what it noted, and decides again only what it had not begun to note. A model the optimizer cannot handle is a failed attempt,
 * not a failed pipeline; supplied rows that do not fit the model are (`invalid_request`). Where nothing is left to try, the turn is for
 * measuring again what would be published: `confirm` is its place.
 * Answers whether there is something to measure, and for how long.
 */
export async function buildCandidate(
  app: Parts,
  ref: OptimizationRef,
  { original, slot, cancelled }: CandidateWork,
): Promise<{ built: boolean; measure_ms?: number; confirm?: number }> {
  const { optimized } = await findOptimization(app, ref.organization_id, ref.optimization_id)
  const model = await checkStillWanted(app, optimized, cancelled)
  const known = optimized.attempts.find((attempt) => attempt.slot === slot)
  if (known) return { built: known.artifact !== undefined && known.candidate === undefined }
  const next = nextOf(optimized, model.size_bytes)
  if (next.skipped.length > 0) await noteAttempts(app, ref, next.skipped, 0)
  if (next.step === 'done') return { built: false }
  if (next.step === 'confirm') return { built: false, measure_ms: next.measure_ms, confirm: next.place }
  const built = await build(app, ref, { original: originalOf(optimized, next, original), optimized, next, slot })
  return { built, measure_ms: next.measure_ms }
}

/** What the search would do now. */
export const nextOf = (optimized: OptimizedModel, original_size_bytes: number) =>
  nextAttempt({
    plan: optimized.plan,
    attempts: optimized.attempts,
    asked: searchAsked(optimized),
    original_size_bytes,
    spent_ms: optimized.compute_seconds * 1000,
    budget_ms: (optimized.time_budget_s ?? defaultBudget_s(original_size_bytes)) * 1000,
  })

const originalOf = ({ attempts }: OptimizedModel, { base }: Trial, original: string): string => {
  if (base === undefined) return original
  const artifact = attempts[base]?.artifact
  if (artifact === undefined) throw new PlatformError('internal', `Attempt ${base}, to be made into another, has no file`)
  return artifact
}

async function build(
  app: Parts,
  ref: OptimizationRef,
  { original, optimized, next, slot }: { original: string; optimized: OptimizedModel; next: Trial; slot: number },
): Promise<boolean> {
  const { optimizer, settings, base, expected_size_bytes } = next
  const attempt = { name: optimizer, settings, slot, expected_size_bytes, ...(base !== undefined && { base }) }
  const key = optimizationArtifact(ref.organization_id, ref.optimization_id, `candidate-${slot}.onnx`)
  const started = app.now().getTime()
  const noted = (outcome: Omit<Attempt, 'name' | 'settings'>, ms: number) =>
    noteAttempts(app, ref, [{ ...attempt, ...outcome }], ms / 1000)
  try {
    const { calibration_artifact: calibration, evaluation_artifact: evaluation } = optimized
    const order = { optimizer, settings, original, candidate: key, calibration, evaluation, limit_ms: next.build_ms }
    const made = await whileWanted(app, ref, (signal) => app.workbench.build(order, signal))
    const reason = ['Built', ...made.notes].join('; ')
    const same = sameFile(optimized.attempts, made.sha256)
    if (same) {
      await noted({ ...asDuplicate(same), sha256: made.sha256, build_ms: made.time_ms }, made.time_ms)
      return false
    }
    await noted(
      { verdict: 'rejected', reason: `Being measured. ${reason}`, artifact: key, sha256: made.sha256, build_ms: made.time_ms },
      made.time_ms,
    )
    return true
  } catch (error) {
    const refused = refusedBuild(error, optimized.attempts)
    await noted(refused.outcome, app.now().getTime() - started)
    if (refused.ends) throw error
    return false
  }
}
