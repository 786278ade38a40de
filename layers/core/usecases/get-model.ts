import { type ModelReply, modelReply } from '../domain/model.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { findModel } from './find-model.ts'

/** Get a live model of the caller's organisation; `not_found` for everything else. */
export const getModel = async (app: Pick<App, 'records'>, principal: Principal, model_id: string): Promise<ModelReply> => {
  return modelReply((await findModel(app, principal.organization_id, model_id)).model)
}
