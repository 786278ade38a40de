import { PlatformError } from '../contract/errors.ts'
import type { Message } from '../contract/lists.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { countChange } from './count-by-status.ts'
import { deletedModelKey, findModel, modelKey } from './find-model.ts'
import { readModelUse } from './model-use.ts'
import { retryConflicts } from './retry-conflicts.ts'
import { DELETED_MODELS } from './sweep-models.ts'

/**
 * Delete a model that no deployment uses.
 *
 * 1. Read the model and who uses it; `model_in_use` lists the deployments. With `only_version` a model that changed is a `conflict`.
 * 2. In one transaction, while both are as read: the model goes, its tombstone comes, the count changes.
 * 3. Its bytes, and those of its optimised models, are removed by the sweep a day later: backups in progress still find them.
 */
export const deleteModel = (
  app: Pick<App, 'records' | 'now'>,
  principal: Pick<Principal, 'organization_id'>,
  model_id: string,
  only_version?: string,
): Promise<Message> => {
  const { organization_id } = principal
  return retryConflicts(async () => {
    const { model, version } = await findModel(app, organization_id, model_id)
    if (only_version !== undefined && version !== only_version)
      throw new PlatformError('conflict', `Model ${model_id} was changed meanwhile; it is not deleted`)
    const use = await readModelUse(app, organization_id, model_id)
    if (use.deployment_ids.length > 0) {
      const deployment_ids = use.deployment_ids.slice(0, 20)
      throw new PlatformError(
        'model_in_use',
        `Model ${model_id} is used by ${use.deployment_ids.length} deployment(s), e.g. ${deployment_ids[0]}; delete them first`,
        {
          facts: { deployment_ids },
        },
      )
    }
    const deleted_at = app.now().toISOString()
    const worklist = { pk: DELETED_MODELS, sk: `${deleted_at}#${model_id}` }
    await app.records.write([
      { remove: modelKey(organization_id, model_id), expect: { version } },
      { check: use.key, expect: use.expect },
      { put: { ...deletedModelKey(organization_id, model_id), body: { ...model, deleted_at }, worklist }, expect: 'any' },
      ...(await countChange(app, { organization_id, kind: 'model', id: model_id, from: model.status })),
    ])
    return { message: `Model ${model_id} deleted successfully` }
  })
}
