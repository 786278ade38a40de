import * as z from 'zod'
import type { App } from '../ports/app.ts'
import type { Operation } from '../ports/records.ts'
import { findModel } from './find-model.ts'
import { organizationKey } from './record-keys.ts'

/**
 * Which deployments use a model: one document per model, `model-use#<model_id>`, holding a set of deployment ids.
 * Race-free in both directions: a claim checks the version of the model and changes this document; a deletion replaces the
 * model and checks this document. Of two that meet, one gets `version_conflict`, reads again and sees the other.
 * An original is claimed also where its optimised model is what is served.
 */
const ModelUse = z.object({ model_id: z.string(), deployment_ids: z.array(z.string()) })

export const modelUseKey = (organization_id: string, model_id: string) => organizationKey(organization_id, 'model-use', model_id)

export const readModelUse = async (app: Pick<App, 'records'>, organization_id: string, model_id: string) => {
  const key = modelUseKey(organization_id, model_id)
  const stored = await app.records.get(key)
  const deployment_ids = stored ? ModelUse.parse(stored.body).deployment_ids : []
  return { key, deployment_ids, expect: stored ? { version: stored.version } : ('absent' as const) }
}

/**
 * Operations for the transaction that makes a deployment use a model; claiming twice is one claim. Two operations, on the
 * keys `model#<model_id>` and `model-use#<model_id>`. Fails with `not_found` when the model is not there (any more);
 * on `version_conflict` of the write call it again (see `retryConflicts`).
 */
export const claimModel = async (
  app: Pick<App, 'records'>,
  organization_id: string,
  model_id: string,
  deployment_id: string,
): Promise<Operation[]> => {
  const { version } = await findModel(app, organization_id, model_id)
  const { key, deployment_ids, expect } = await readModelUse(app, organization_id, model_id)
  const present: Operation = { check: { pk: key.pk, sk: `model#${model_id}` }, expect: { version } }
  if (deployment_ids.includes(deployment_id)) return [present, { check: key, expect }]
  return [present, { put: { ...key, body: { model_id, deployment_ids: [...deployment_ids, deployment_id] } }, expect }]
}

/** Operations for the transaction after which the deployment does not use the model; empty when it did not. At most one operation. */
export const releaseModel = async (
  app: Pick<App, 'records'>,
  organization_id: string,
  model_id: string,
  deployment_id: string,
): Promise<Operation[]> => {
  const { key, deployment_ids, expect } = await readModelUse(app, organization_id, model_id)
  const left = deployment_ids.filter((id) => id !== deployment_id)
  if (left.length === deployment_ids.length) return []
  return left.length > 0 ? [{ put: { ...key, body: { model_id, deployment_ids: left } }, expect }] : [{ remove: key, expect }]
}
