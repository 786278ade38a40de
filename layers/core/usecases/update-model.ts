import type { BodyOf } from '../contract/routes.ts'
import { type Model, type ModelReply, modelReply } from '../domain/model.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { countChange } from './count-by-status.ts'
import { findModel, modelKey } from './find-model.ts'
import { retryConflicts } from './retry-conflicts.ts'

/**
 * Set a model active or inactive, or replace its metadata.
 *
 * 1. Read the model. 2. Write it changed, with its count, on the version read. Deployments that serve it are not touched.
 */
export const updateModel = (
  app: Pick<App, 'records' | 'now'>,
  principal: Principal,
  model_id: string,
  change: BodyOf<'update-model'>,
): Promise<ModelReply> => {
  const { organization_id } = principal
  return retryConflicts(async () => {
    const { model, version } = await findModel(app, organization_id, model_id)
    const status = change.status ?? model.status
    const changed: Model = { ...model, status, metadata: change.metadata ?? model.metadata, updated_at: app.now().toISOString() }
    await app.records.write([
      { put: { ...modelKey(organization_id, model_id), body: changed }, expect: { version } },
      ...(await countChange(app, { organization_id, kind: 'model', id: model_id, from: model.status, to: status })),
    ])
    return modelReply(changed)
  })
}
