import { isPlatformError } from '../contract/errors.ts'
import { targetsMet } from '../domain/choose-candidate.ts'
import { evidenceOf } from '../domain/judge-candidate.ts'
import type { Attempt, OptimizedModel } from '../domain/optimization.ts'
import type { App } from '../ports/app.ts'
import { checkStillWanted } from './check-still-wanted.ts'
import { findOptimization, noteAttempt, type OptimizationRef, optimizationArtifact } from './optimization-records.ts'
import type { CandidateWork } from './plan-candidates.ts'

/** Whether an earlier candidate is accepted and meets every target, so that nothing is left to look for. */
const settled = (optimized: OptimizedModel): boolean =>
  optimized.attempts.some((attempt) => {
    const evidence = evidenceOf(attempt)
    return attempt.verdict === 'accepted' && evidence !== undefined && targetsMet(evidence, optimized) === true
  })

/**
 * Build one candidate and store it as an artifact of the optimisation. A model the optimizer cannot handle is a failed attempt,
 * not a failed pipeline. Answers whether there is something to measure.
 */
export async function buildCandidate(
  app: Pick<App, 'records' | 'workbench' | 'now'>,
  ref: OptimizationRef,
  { original, candidate, cancelled }: CandidateWork,
): Promise<{ built: boolean }> {
  const { optimized } = await findOptimization(app, ref.organization_id, ref.optimization_id)
  await checkStillWanted(app, optimized, cancelled)
  const attempt = { name: candidate.optimizer, settings: candidate.settings }
  if (settled(optimized)) {
    await noteAttempt(
      app,
      ref,
      { ...attempt, verdict: 'rejected', reason: 'Not built: an earlier candidate meets every target' },
      0,
    )
    return { built: false }
  }
  const key = optimizationArtifact(ref.organization_id, ref.optimization_id, `candidate-${candidate.index}.onnx`)
  const started = app.now().getTime()
  const noted = (outcome: Omit<Attempt, 'name' | 'settings'>) =>
    noteAttempt(app, ref, { ...attempt, ...outcome }, (app.now().getTime() - started) / 1000)
  try {
    const made = await app.workbench.build({
      optimizer: candidate.optimizer,
      settings: candidate.settings,
      original,
      candidate: key,
      calibration: optimized.calibration_artifact,
    })
    const reason = ['Built', ...made.notes].join('; ')
    await noted({ verdict: 'rejected', reason, artifact: key, sha256: made.sha256, build_ms: made.time_ms })
    return { built: true }
  } catch (error) {
    if (!isPlatformError(error, 'model_error')) throw error
    await noted({ verdict: 'failed', reason: error.message })
    return { built: false }
  }
}
