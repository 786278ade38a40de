import { notFound, PlatformError } from '../contract/errors.ts'
import { Model } from '../domain/model.ts'
import type { App } from '../ports/app.ts'
import { organizationKey } from './record-keys.ts'

/**
 * Where the documents of a model lie. Live models are `model#<id>`; one that is being uploaded is `upload#<id>` and one that was
 * deleted `deleted-model#<id>`, so that lists and look-ups meet live models only.
 */
export const modelKey = (organization_id: string, model_id: string) => organizationKey(organization_id, 'model', model_id)
export const uploadKey = (organization_id: string, model_id: string) => organizationKey(organization_id, 'upload', model_id)
export const deletedModelKey = (organization_id: string, model_id: string) =>
  organizationKey(organization_id, 'deleted-model', model_id)

export interface FoundModel {
  model: Model
  version: string
}

/** A live model of the organisation, active or inactive. Fails with `not_found` for everything else. */
export const findModel = async (app: Pick<App, 'records'>, organization_id: string, model_id: string): Promise<FoundModel> => {
  const stored = await app.records.get(modelKey(organization_id, model_id))
  if (!stored) throw notFound('Model', model_id)
  return { model: Model.parse(stored.body), version: stored.version }
}

/** A model that may be newly deployed or optimised. Fails with `not_found`, or `conflict` when it is inactive. */
export const findActiveModel = async (
  app: Pick<App, 'records'>,
  organization_id: string,
  model_id: string,
): Promise<FoundModel> => {
  const found = await findModel(app, organization_id, model_id)
  if (found.model.status !== 'active') {
    throw new PlatformError(
      'conflict',
      `Model ${model_id} is ${found.model.status}; wanted an active model, set it active first`,
      {
        facts: { state: found.model.status },
      },
    )
  }
  return found
}
