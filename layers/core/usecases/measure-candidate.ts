import { isPlatformError } from '../contract/errors.ts'
import { askedMetadata, wishesOf } from '../domain/accuracy-gate.ts'
import { hopelessLine } from '../domain/faithfulness.ts'
import { inferenceCost } from '../domain/inference-cost.ts'
import { judgeCandidate } from '../domain/judge-candidate.ts'
import type { Attempt, OptimizedModel } from '../domain/optimization.ts'
import type { App } from '../ports/app.ts'
import type { MeasureOrder } from '../ports/workbench.ts'
import type { CandidateWork } from './build-candidate.ts'
import { checkStillWanted, whileWanted } from './check-still-wanted.ts'
import { findOptimization, noteAttempts, type OptimizationRef } from './optimization-records.ts'

/**
 * Measure what this turn of the search built against the original, or once more and longer what would be published (`confirm`, its
 * place), judge it and say what it costs. One that cannot be run is a failed attempt with the reason. Supplied rows that do not fit the
 * model fit no candidate: that fails with `invalid_request`, which ends the optimisation.
 */
export async function measureCandidate(
  app: Pick<App, 'records' | 'workbench' | 'prices' | 'now'>,
  ref: OptimizationRef,
  {
    original,
    slot,
    cancelled,
    measure_ms,
    confirm,
  }: CandidateWork & { measure_ms?: number | undefined; confirm?: number | undefined },
): Promise<{ measured: boolean }> {
  const { optimized } = await findOptimization(app, ref.organization_id, ref.optimization_id)
  await checkStillWanted(app, optimized, cancelled)
  const again = confirm !== undefined
  const attempt = again ? optimized.attempts[confirm] : optimized.attempts.find((known) => known.slot === slot)
  if (!attempt?.artifact || (again ? attempt.confirmed : attempt.candidate)) return { measured: attempt?.candidate !== undefined }
  const started = app.now().getTime()
  const noted = (outcome: Partial<Attempt>) =>
    noteAttempts(
      app,
      ref,
      [{ ...attempt, ...outcome, ...(again && { confirmed: true }) }],
      (app.now().getTime() - started) / 1000,
    )
  try {
    const order = {
      ...orderOf(optimized),
      original,
      candidate: attempt.artifact,
      budget_ms: measure_ms,
      ...(again && { thorough: true }),
    }
    const evidence = await whileWanted(app, ref, (signal) => app.workbench.measure(order, signal))
    await app.prices.load?.()
    const cost_per_1000 = inferenceCost(optimized.target, evidence, { prices: app.prices, measured_on: process.arch })
    await noted({ ...evidence, cost_per_1000, ...judgeCandidate(evidence, optimized) })
    return { measured: true }
  } catch (error) {
    const unusable = isPlatformError(error, 'invalid_request')
    if (!unusable && !isPlatformError(error, 'model_error')) throw error
    await noted({ verdict: 'failed', reason: error.message })
    if (unusable) throw error
    return { measured: false }
  }
}

/** What all measurements of an optimisation have in common. */
const orderOf = (optimized: OptimizedModel): Omit<MeasureOrder, 'original' | 'candidate'> => {
  const { class_output, input_shapes, task } = wishesOf(askedMetadata(optimized))
  return {
    calibration: optimized.calibration_artifact,
    evaluation: optimized.evaluation_artifact,
    task,
    class_output,
    hopeless: hopelessLine(optimized),
    input_shapes: input_shapes ?? {},
  }
}
