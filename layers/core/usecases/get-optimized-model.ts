import { notFound } from '../contract/errors.ts'
import type { OptimizedModelDetail } from '../domain/optimization.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { optimizedModelDetail } from './describe-search.ts'
import { findModel } from './find-model.ts'
import { findOptimization } from './optimization-records.ts'

/** One optimisation with all its attempts. Fails with `not_found`, also when it is another model's. */
export const getOptimizedModel = async (
  app: Pick<App, 'records'>,
  principal: Principal,
  { model_id, optimized_id }: { model_id: string; optimized_id: string },
): Promise<OptimizedModelDetail> => {
  const { organization_id } = principal
  const { model } = await findModel(app, organization_id, model_id)
  const { optimized } = await findOptimization(app, organization_id, optimized_id)
  if (optimized.original_model_id !== model_id) throw notFound('Optimised model', optimized_id)
  return optimizedModelDetail(optimized, model.size_bytes)
}
