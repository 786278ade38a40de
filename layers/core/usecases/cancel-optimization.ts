import { PlatformError } from '../contract/errors.ts'
import type { OptimizedModelDetail } from '../domain/optimization.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { optimizedModelDetail } from './describe-search.ts'
import { findModel } from './find-model.ts'
import { getOptimizedModel } from './get-optimized-model.ts'
import { changeOptimization, withoutArtifacts } from './optimization-records.ts'

const CANCELLED = 'cancelled'

/**
 * Ends an optimisation that still runs: the record fails at once, with its count, and is itself the flag: every step looks at it before it
 * begins and once a second while it works, and the pipeline then cleans up. One that is cancelled already is left as it is. Fails with
 * `not_found`, or `illegal_transition` (facts.state) when it came to an end of its own.
 */
export const cancelOptimization = async (
  app: Pick<App, 'records' | 'now'>,
  principal: Principal,
  { model_id, optimized_id }: { model_id: string; optimized_id: string },
): Promise<OptimizedModelDetail> => {
  const { organization_id } = principal
  await getOptimizedModel(app, principal, { model_id, optimized_id })
  const optimized = await changeOptimization(app, { organization_id, optimization_id: optimized_id }, (current) => ({
    ...current,
    attempts: withoutArtifacts(current.attempts),
    status: 'failed',
    metadata: { ...current.metadata, error: CANCELLED },
  }))
  if (optimized.status !== 'failed' || optimized.metadata.error !== CANCELLED)
    throw new PlatformError(
      'illegal_transition',
      `Optimisation ${optimized_id} is ${optimized.status} and cannot be cancelled now`,
      {
        facts: { state: optimized.status },
      },
    )
  const { model } = await findModel(app, organization_id, model_id)
  return optimizedModelDetail(optimized, model.size_bytes)
}
