import type { JsonObject } from '../domain/json.ts'
import type { App } from '../ports/app.ts'
import { findActiveModel } from './find-model.ts'
import { findOptimization, type OptimizationRef } from './optimization-records.ts'

/**
 * The original must still be there, active, with its bytes. What the upload learnt of it stands in its record; a model stored
 * without that is inspected now and keeps the answer in the pipeline's state.
 */
export const inspectOriginal = async (
  app: Pick<App, 'records' | 'artifacts' | 'inspector'>,
  ref: OptimizationRef,
): Promise<JsonObject> => {
  const { optimized } = await findOptimization(app, ref.organization_id, ref.optimization_id)
  const { model } = await findActiveModel(app, ref.organization_id, optimized.original_model_id)
  const file = await app.artifacts.asFile(model.storage_path)
  try {
    const { framework, file_name } = model
    const inspection = model.inspection ?? (await app.inspector.inspect(file.path, { framework, file_name }))
    return { original: model.storage_path, inspection }
  } finally {
    await file.release()
  }
}
