import { askedMetadata } from '../domain/accuracy-gate.ts'
import type { Inspection } from '../domain/model.ts'
import type { OptimizedModel, PlannedAttempt } from '../domain/optimization.ts'
import { int8Of } from '../domain/optimization-target.ts'
import type { App } from '../ports/app.ts'
import { changeOptimization, findOptimization, noteAttempts, type OptimizationRef } from './optimization-records.ts'
import { planSearch, type SearchAsked } from './plan-search.ts'

/** Turns of the search: each is one candidate, or an empty one that costs two short steps. */
const MOST_SLOTS = 48
/** Quantizers upon one pruned or distilled candidate. */
const PAIRS_OF_A_BASE = 2
/** Measurements of what would be published, of which the first usually holds. */
const CONFIRMATIONS = 3

/** What optimizers are told of an optimisation. */
export const searchAsked = (optimized: OptimizedModel): SearchAsked => ({
  method: optimized.optimization_method,
  metadata: askedMetadata(optimized),
  target_size_bytes: optimized.target_size_bytes,
  target_latency_ms: optimized.target_latency_ms,
  int8: int8Of(optimized.target),
  has_data: optimized.calibration_artifact !== null || optimized.evaluation_artifact !== null,
})

/**
 * Writes the ladder of candidates into the record, and as attempts why optimizers have none. Answers one slot for every turn the
 * search may take: what is tried in each depends on what was measured before.
 */
export async function planCandidates(
  app: Pick<App, 'records' | 'optimizers' | 'now'>,
  ref: OptimizationRef,
  inspection: Inspection,
): Promise<{ candidates: { index: number }[] }> {
  const { optimized } = await findOptimization(app, ref.organization_id, ref.optimization_id)
  const { plan, left_out } = planSearch(await app.optimizers(), inspection, searchAsked(optimized))
  const refused = left_out.map(({ optimizer, reason }) => ({
    name: optimizer,
    settings: {},
    verdict: 'skipped' as const,
    reason,
  }))
  if (refused.length > 0) await noteAttempts(app, ref, refused, 0)
  await changeOptimization(app, ref, (current) => ({ ...current, plan }))
  return { candidates: Array.from({ length: slots(plan) }, (_, index) => ({ index })) }
}

/** As many turns as the plan, what may be made from its candidates and confirming can take, and one that finds out whether it was cancelled in the last. */
const slots = (plan: readonly PlannedAttempt[]): number => {
  const bases = plan.filter(({ method }) => method === 'pruning' || method === 'distillation').length
  const pairs = plan.some(({ method }) => method === 'quantization') ? bases * PAIRS_OF_A_BASE : 0
  return Math.min(MOST_SLOTS, plan.length + pairs + CONFIRMATIONS + 1)
}
