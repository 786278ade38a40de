import { isPlatformError } from '../contract/errors.ts'
import { wishesOf } from '../domain/accuracy-gate.ts'
import { judgeCandidate } from '../domain/judge-candidate.ts'
import type { Attempt } from '../domain/optimization.ts'
import type { App } from '../ports/app.ts'
import { checkStillWanted } from './check-still-wanted.ts'
import { findAttempt, findOptimization, noteAttempt, type OptimizationRef } from './optimization-records.ts'
import type { CandidateWork } from './plan-candidates.ts'

/**
 * Measure a built candidate against its original and judge it. One that cannot be run, or whose inputs the supplied calibration
 * data do not fit, is a failed attempt with the reason.
 */
export async function measureCandidate(
  app: Pick<App, 'records' | 'workbench' | 'now'>,
  ref: OptimizationRef,
  { original, candidate, cancelled }: CandidateWork,
): Promise<{ measured: boolean }> {
  const { optimized } = await findOptimization(app, ref.organization_id, ref.optimization_id)
  await checkStillWanted(app, optimized, cancelled)
  const attempt = findAttempt(optimized, { name: candidate.optimizer, settings: candidate.settings })
  if (!attempt?.artifact) return { measured: false }
  const { class_output, input_shapes } = wishesOf(optimized.metadata)
  const started = app.now().getTime()
  const noted = (outcome: Partial<Attempt>) =>
    noteAttempt(app, ref, { ...attempt, ...outcome }, (app.now().getTime() - started) / 1000)
  try {
    const evidence = await app.workbench.measure({
      original,
      candidate: attempt.artifact,
      calibration: optimized.calibration_artifact,
      class_output,
      input_shapes: input_shapes ?? {},
    })
    await noted({ ...evidence, ...judgeCandidate(evidence, optimized) })
    return { measured: true }
  } catch (error) {
    if (!isPlatformError(error, 'model_error') && !isPlatformError(error, 'invalid_request')) throw error
    await noted({ verdict: 'failed', reason: error.message })
    return { measured: false }
  }
}
