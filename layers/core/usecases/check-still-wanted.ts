import { isPlatformError, PlatformError } from '../contract/errors.ts'
import type { Model } from '../domain/model.ts'
import type { OptimizedModel } from '../domain/optimization.ts'
import type { App } from '../ports/app.ts'
import type { StepContext } from '../ports/workflows.ts'
import { findModel } from './find-model.ts'
import { findOptimization, type OptimizationRef } from './optimization-records.ts'

/** How soon work in progress notices that somebody cancelled it. */
const LOOK_AGAIN_MS = 1000

const cancelledFault = (): PlatformError => new PlatformError('cancelled', 'The optimisation was cancelled')

/**
 * Before a step that takes minutes: the optimisation must not have been cancelled, nor its original deleted. Fails with `cancelled` or
 * `not_found`, which no repetition mends: the pipeline ends, and its last step writes the reason into the record. Answers the original.
 */
export async function checkStillWanted(
  app: Pick<App, 'records'>,
  { organization_id, original_model_id, status }: Pick<OptimizedModel, 'organization_id' | 'original_model_id' | 'status'>,
  cancelled: StepContext['cancelled'],
): Promise<Model> {
  if (status !== 'optimizing' || (await cancelled())) throw cancelledFault()
  return (await findModel(app, organization_id, original_model_id)).model
}

/**
 * Work that takes minutes, with a signal that ends it a second after the record says that nobody wants it any more. Then fails with
 * `cancelled`, whatever the work itself failed with.
 */
export async function whileWanted<Answer>(
  app: Pick<App, 'records'>,
  { organization_id, optimization_id }: OptimizationRef,
  work: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const unwanted = new AbortController()
  const look = async (): Promise<void> => {
    const ended = await findOptimization(app, organization_id, optimization_id).then(
      ({ optimized }) => optimized.status !== 'optimizing',
      // A record that cannot be read now says nothing; one that is gone says all.
      (error: unknown) => isPlatformError(error, 'not_found'),
    )
    if (ended) unwanted.abort()
  }
  const timer = setInterval(look, LOOK_AGAIN_MS)
  try {
    return await work(unwanted.signal)
  } catch (error) {
    throw unwanted.signal.aborted ? cancelledFault() : error
  } finally {
    clearInterval(timer)
  }
}
