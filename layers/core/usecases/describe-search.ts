import { defaultBudget_s } from '../domain/next-attempt.ts'
import { isTried, type OptimizedModel, OptimizedModelDetail, type SearchProgress } from '../domain/optimization.ts'
import { paretoFront } from '../domain/pareto.ts'
import { settingsText } from '../domain/search-state.ts'
import { nextOf } from './build-candidate.ts'

/** One optimisation as callers see it, with what follows from its attempts. */
export const optimizedModelDetail = (optimized: OptimizedModel, original_size_bytes: number): OptimizedModelDetail =>
  OptimizedModelDetail.parse({
    ...optimized,
    pareto: paretoFront(optimized.attempts),
    progress: progressOf(optimized, original_size_bytes),
  })

const progressOf = (optimized: OptimizedModel, original_size_bytes: number): SearchProgress => ({
  tried: optimized.attempts.filter(isTried).length,
  planned: optimized.plan.length + optimized.attempts.filter(({ base }) => base !== undefined).length,
  spent_s: optimized.compute_seconds,
  budget_s: optimized.time_budget_s ?? defaultBudget_s(original_size_bytes),
  doing: optimized.status === 'optimizing' ? doing(optimized, original_size_bytes) : null,
})

/** Told from the record alone, as the steps decide by it too. */
function doing(optimized: OptimizedModel, original_size_bytes: number): string {
  const { plan, attempts } = optimized
  const built = attempts.find((attempt) => attempt.artifact !== undefined && !isTried(attempt))
  if (built) return `measuring ${nameOf(built, optimized)}`
  if (plan.length === 0) return attempts.length === 0 ? 'planning' : 'ending'
  const next = nextOf(optimized, original_size_bytes)
  if (next.step === 'done') return `ending: ${next.reason}`
  const chosen = next.step === 'confirm' ? attempts[next.place] : undefined
  if (chosen) return `measuring ${nameOf(chosen, optimized)} once more`
  return next.step === 'try' ? `building ${nameOf({ ...next, name: next.optimizer }, optimized)}` : 'ending'
}

type Named = Pick<OptimizedModel['attempts'][number], 'name' | 'settings' | 'base'>
const nameOf = ({ name, settings, base }: Named, { attempts }: OptimizedModel): string =>
  `${name} ${settingsText(settings)}${base === undefined ? '' : ` upon ${attempts[base]?.name}`}`
