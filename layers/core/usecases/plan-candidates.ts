import { wishesOf } from '../domain/accuracy-gate.ts'
import type { JsonObject } from '../domain/json.ts'
import type { Inspection } from '../domain/model.ts'
import type { App } from '../ports/app.ts'
import type { StepContext } from '../ports/workflows.ts'
import { findOptimization, noteAttempt, type OptimizationRef } from './optimization-records.ts'

/** Every candidate costs a build and a measurement; beyond these the ladder is too fine. */
const MOST_CANDIDATES = 8

/** One candidate in the pipeline's state: ids and settings, never bytes. */
export type PlannedCandidate = {
  index: number
  optimizer: string
  settings: JsonObject
}

/** What the steps that build and measure one candidate are given. */
export interface CandidateWork {
  /** The original's artifact. */
  original: string
  candidate: PlannedCandidate
  cancelled: StepContext['cancelled']
}

/**
 * Asks every optimizer of the method which candidates are worth building; why one has none is noted as an attempt.
 * The best guess of each comes first, then the second guess of each, and so on.
 */
export async function planCandidates(
  app: Pick<App, 'records' | 'optimizers' | 'now'>,
  ref: OptimizationRef,
  inspection: Inspection,
): Promise<{ candidates: PlannedCandidate[] }> {
  const { optimized } = await findOptimization(app, ref.organization_id, ref.optimization_id)
  const { metadata, target_size_bytes, target_latency_ms } = optimized
  const guesses: { rank: number; optimizer: string; settings: JsonObject }[] = []
  const { precision = 'auto' } = wishesOf(metadata)
  const asked = app.optimizers.filter(
    ({ method, on_request, precisions = [] }) =>
      method === optimized.optimization_method && (on_request === undefined || precisions.includes(precision)),
  )
  for (const optimizer of asked) {
    const answer = optimizer.suits(inspection, { metadata, target_size_bytes, target_latency_ms })
    if (typeof answer === 'string') {
      await noteAttempt(app, ref, { name: optimizer.name, settings: {}, verdict: 'rejected', reason: answer }, 0)
      continue
    }
    guesses.push(...answer.map((settings, rank) => ({ rank, optimizer: optimizer.name, settings })))
  }
  const ladder = guesses.toSorted((a, b) => a.rank - b.rank).slice(0, MOST_CANDIDATES)
  return { candidates: ladder.map(({ optimizer, settings }, index) => ({ index, optimizer, settings })) }
}
