import { chooseCandidate } from '../domain/choose-candidate.ts'
import type { App } from '../ports/app.ts'
import { nothingToTry } from './check-asked.ts'
import { changeOptimization, findOptimization, type OptimizationRef, withoutArtifacts } from './optimization-records.ts'

/**
 * Decide which candidate is published. Nothing acceptable ends the optimisation here, failed, with every reason and the
 * measured percentages of what came nearest. Answers the chosen artifact, or null.
 */
export const decideOptimization = async (
  app: Pick<App, 'records' | 'now'>,
  ref: OptimizationRef,
): Promise<{ chosen: string | null }> => {
  const { optimized } = await findOptimization(app, ref.organization_id, ref.optimization_id)
  if (optimized.status !== 'optimizing') return { chosen: null }
  const choice = chooseCandidate(optimized.attempts, optimized)
  if (choice.outcome === 'completed') return { chosen: optimized.attempts[choice.index]?.artifact ?? null }
  const reasons = optimized.attempts.map(({ name, reason }) => ({ optimizer: name, reason }))
  await changeOptimization(app, ref, (current) => ({
    ...current,
    ...choice.result,
    attempts: withoutArtifacts(current.attempts),
    status: 'failed',
    metadata: { ...current.metadata, error: current.plan.length > 0 ? choice.error : nothingToTry(reasons) },
  }))
  return { chosen: null }
}
