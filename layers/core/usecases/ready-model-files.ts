import * as z from 'zod'
import { PlatformError } from '../contract/errors.ts'
import type { JsonObject } from '../domain/json.ts'
import type { App } from '../ports/app.ts'
import { BUSY_MS, settleStorage } from './compact-model.ts'
import { readAnyDeployment } from './deployment-records.ts'
import { findModel } from './find-model.ts'
import type { ProvisionInput } from './provision-input.ts'
import { retryConflicts } from './retry-conflicts.ts'
import { readRevision } from './revisions.ts'
import { putStorage } from './storage-records.ts'

type Needs = Pick<App, 'records' | 'artifacts' | 'now' | 'newId' | 'log'>

/** Before a revision is brought up: the files of its model as they came. Fails with `work_pending` while they are being rewritten. */
export const readyModelFiles = async (app: Needs, input: ProvisionInput): Promise<void> => {
  const { organization_id, deployment_id } = input
  const revision = await readRevision(app, { organization_id, id: deployment_id }, input.revision)
  if (revision !== undefined) await readyFiles(app, organization_id, revision.original_model_id)
}

const Named = z.object({ organization_id: z.string(), deployment_id: z.string() })

/** The same before a deployment is woken: one that never came up is deployed then. */
export const readyDeployedFiles = async (app: Needs, state: JsonObject): Promise<void> => {
  const { organization_id, deployment_id } = Named.parse(state)
  const deployment = await readAnyDeployment(app, { organization_id, id: deployment_id })
  if (deployment?.status === 'activating' && deployment.original_model_id !== undefined)
    await readyFiles(app, organization_id, deployment.original_model_id)
}

/**
 * Deployers on AWS read the bucket themselves, so what they read must not be compressed. Primary course: nothing was done to the files,
 * and one read says so. Else take the model, store its files plain again, and forget that it was unused, with any announced deletion.
 */
const readyFiles = async (app: Needs, organization_id: string, model_id: string): Promise<void> => {
  const taken = await retryConflicts(async () => {
    const { model, version } = await findModel(app, organization_id, model_id)
    const { storage } = model
    if (storage === undefined) return undefined
    const now = app.now()
    if (storage.busy && Date.parse(storage.busy.until) > now.getTime())
      throw new PlatformError(
        'work_pending',
        `The files of model ${model.id} are being rewritten; the deployment goes on after that`,
        {
          retry_after_s: 5,
        },
      )
    const busy = { id: app.newId('exp'), until: new Date(now.getTime() + BUSY_MS).toISOString() }
    await app.records.write([putStorage(model, { ...storage, deletion_announced_at: null, deletes_at: null, busy }, version)])
    return { model, storage, busy }
  })
  if (!taken) return
  const { model, storage, busy } = taken
  try {
    for (const { key } of storage.files) await app.artifacts.expand?.(key)
    await settleStorage(app, model, busy.id, undefined)
    app.log.info('model_files_ready', { model_id: model.id, organization_id, files: storage.files.length, form: storage.form })
  } catch (error) {
    await settleStorage(app, model, busy.id, storage).catch(() => undefined)
    throw error
  }
}
