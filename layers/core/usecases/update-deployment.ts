import { PlatformError } from '../contract/errors.ts'
import type { UpdateDeployment } from '../contract/routes/deployments.ts'
import type { Deployment } from '../domain/deployment.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { beginRevision, type NextRevision, type RevisionApp } from './begin-revision.ts'
import { assertFramework, assertSettings, deployerOf } from './check-deployable.ts'
import { findModel } from './find-model.ts'
import { resolveModel } from './resolve-model.ts'
import { specOf } from './revisions.ts'
import { shiftTraffic } from './shift-traffic.ts'

/**
 * Changes a deployment, member by member: one that is present replaces the whole old one. Every change is a revision; a sleeping or
 * stopped deployment takes it on and stays as it is. Answers and failures as `beginRevision`, checks as `createDeployment`. A canary
 * alone changes no revision: that is `shiftTraffic`.
 */
export const updateDeployment = async (
  app: RevisionApp,
  principal: Pick<Principal, 'organization_id' | 'id'>,
  deployment_id: string,
  change: UpdateDeployment,
  wait_ms?: number,
) => {
  const { canary, ...members } = change
  if (canary !== undefined && Object.keys(members).length === 0)
    return shiftTraffic(app, principal, deployment_id, canary, wait_ms)
  if (canary) throw canaryAlone(members)
  return beginRevision(app, principal, deployment_id, (current) => merged(app, current, members), wait_ms)
}

const canaryAlone = (members: object): PlatformError => {
  const detail = `got it together with ${Object.keys(members).join(', ')}, which make a new revision; wanted it alone`
  return new PlatformError('invalid_request', `/canary: ${detail}`, { errors: [{ pointer: '/canary', detail }] })
}

const merged = async (
  app: Pick<App, 'records' | 'deployers'>,
  current: Deployment,
  change: UpdateDeployment,
): Promise<NextRevision> => {
  const { name = current.name, ...members } = change
  const present = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
  const spec = { ...specOf(current), ...present }
  const deployer = deployerOf(app, current.deployment_type)
  assertSettings(deployer, spec)
  const model = await modelOf(app, current, change, spec)
  assertFramework(deployer, model.original)
  const { resolved_model_id, original_model_id } = model
  return { name, spec, resolved_model_id, original_model_id, rolled_back_from: null }
}

/** Without a word about the model its file stays, also when a newer optimisation exists meanwhile or the model was set inactive. */
const modelOf = async (
  app: Pick<App, 'records'>,
  current: Deployment,
  { model_id, model_type }: UpdateDeployment,
  spec: Parameters<typeof resolveModel>[2],
) => {
  if (model_id !== undefined || model_type !== undefined) return resolveModel(app, current.organization_id, spec)
  const original_model_id = current.original_model_id ?? current.model_id
  const { model: original } = await findModel(app, current.organization_id, original_model_id)
  return { resolved_model_id: current.resolved_model_id, original_model_id, original }
}
