import { type ModelDetail, modelReply } from '../domain/model.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { findModel } from './find-model.ts'

/** Get a live model of the caller's organisation, with what might be made of it; `not_found` for everything else. */
export const getModel = async (
  app: Pick<App, 'records'> & Partial<Pick<App, 'optimizers'>>,
  principal: Principal,
  model_id: string,
): Promise<ModelDetail> => {
  const { model } = await findModel(app, principal.organization_id, model_id)
  return {
    ...modelReply(model),
    suggested_optimizations: (await import('./suggest-optimizations.ts')).suggestOptimizations(
      (await app.optimizers?.()) ?? [],
      model,
    ),
  }
}
