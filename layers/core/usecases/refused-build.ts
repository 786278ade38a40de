import { isPlatformError } from '../contract/errors.ts'
import type { Attempt } from '../domain/optimization.ts'

/**
 * What becomes of an attempt whose building failed with `error`: failed, or skipped where it would have changed nothing. Data that fit no
 * model end the search (`ends`), unless a measurement read them before: then they do not suit this optimizer alone. What is neither the
 * model's nor the data's fault is thrown again.
 */
export const refusedBuild = (
  error: unknown,
  attempts: readonly Attempt[],
): { outcome: Pick<Attempt, 'verdict' | 'reason'>; ends: boolean } => {
  const unusable = isPlatformError(error, 'invalid_request')
  if (!unusable && !isPlatformError(error, 'model_error')) throw error
  const nothing = error.extras.facts?.reason === 'nothing_to_do'
  return {
    outcome: { verdict: nothing ? 'skipped' : 'failed', reason: error.message },
    ends: unusable && attempts.every(({ candidate }) => candidate === undefined),
  }
}
