import { PlatformError } from '../contract/errors.ts'
import type { App } from '../ports/app.ts'
import type { StepContext } from '../ports/workflows.ts'
import { findModel } from './find-model.ts'

/**
 * Before a step that takes minutes: the optimisation must not have been cancelled, nor its original deleted. Fails with `cancelled` or
 * `not_found`, which no repetition mends: the pipeline ends, and its last step writes the reason into the record.
 */
export async function checkStillWanted(
  app: Pick<App, 'records'>,
  { organization_id, original_model_id }: { organization_id: string; original_model_id: string },
  cancelled: StepContext['cancelled'],
): Promise<void> {
  if (await cancelled()) throw new PlatformError('cancelled', 'The optimisation was cancelled')
  await findModel(app, organization_id, original_model_id)
}
