import { asPlatformError, PlatformError } from '../contract/errors.ts'
import { isPending } from '../contract/pipelines.ts'
import type { Revision } from '../contract/routes/deployments.ts'
import type { Deployment, DeploymentStatus } from '../domain/deployment.ts'
import type { JsonObject } from '../domain/json.ts'
import { changeDeployment, inState } from './change-deployment.ts'
import { deployerOf } from './check-deployable.ts'
import { inTurn, memoryOf } from './deployment-memory.ts'
import { readAnyDeployment } from './deployment-records.ts'
import { align, type DriveApp, within } from './drive-deployment.ts'
import { releaseModel } from './model-use.ts'
import type { ProvisionInput } from './provision-input.ts'
import { forgetRecordedRequests, noteRecording } from './recorded-requests.ts'
import { targetOf } from './resolve-model.ts'
import { noteUp, readRevision, withRevision } from './revisions.ts'
import { settleFailedRevision } from './settle-deployment.ts'
import { endpointOf } from './settled-deployment.ts'

const DEPLOY_LIMIT_S = 590
/** Past it the pipeline with its retries is over one way or the other. */
const PIPELINE_LIMIT_S = 3 * 600 + 60

/**
 * The pipeline's main step: brings the revision up and puts it in force. Primary course: deploy, then one conditional write. Runs again
 * harmlessly. Answers `superseded` when the transition is not the pipeline's any more; settles faults of the request (4xx) as a
 * failed revision at once and throws all others for the pipeline to retry.
 */
export const deployRevision = async (app: DriveApp, input: ProvisionInput): Promise<{ outcome: string }> => {
  const name = { organization_id: input.organization_id, id: input.deployment_id }
  const { deployment } = await changeDeployment(app, name, (current) => {
    if (current.transition?.id !== input.transition_id) return undefined
    const until = new Date(app.now().getTime() + PIPELINE_LIMIT_S * 1000).toISOString()
    return { next: { ...current, transition: { ...current.transition, until } } }
  })
  if (deployment.transition?.id !== input.transition_id) return { outcome: 'superseded' }
  return inTurn(memoryOf(app), name.id, () => bringUp(app, input))
}

const bringUp = async (app: DriveApp, input: ProvisionInput): Promise<{ outcome: string }> => {
  const name = { organization_id: input.organization_id, id: input.deployment_id }
  const current = await readAnyDeployment(app, name)
  if (current?.transition?.id !== input.transition_id) return { outcome: 'superseded' }
  const revision = await readRevision(app, name, input.revision)
  if (revision === undefined)
    throw new PlatformError('internal', `Revision ${input.revision} of deployment ${name.id} is not on record`)
  const candidate = withRevision(current, revision)
  const after = stateAfter(current.transition.from)
  try {
    const deployer_state = await tellDeployer(app, candidate, after)
    return await putInForce(app, input, revision, after, deployer_state)
  } catch (error) {
    const fault = asPlatformError(error)
    // It goes on elsewhere, and the pipeline asks again: what is half up must stay.
    if (isPending(fault)) throw fault
    app.log.warn('deploy_failed', {
      deployment_id: name.id,
      revision: input.revision,
      code: fault.code,
      cause: String(fault.cause ?? fault.message),
    })
    // Nothing was serving before, so nothing half up may stay.
    if (current.transition.from !== 'active') await align(app, { ...candidate, status: 'hibernated' })
    if (fault.status >= 500) throw fault
    await settleFailedRevision(app, input, fault.message)
    return { outcome: 'failed' }
  }
}

/** A sleeper and a stopped one take the revision on and stay as they are. */
const stateAfter = (from: DeploymentStatus | undefined): 'active' | 'hibernated' | 'stopped' =>
  from === 'hibernated' || from === 'stopped' ? from : 'active'

const tellDeployer = async (app: DriveApp, candidate: Deployment, after: DeploymentStatus): Promise<JsonObject> => {
  const deployer = deployerOf(app, candidate.deployment_type)
  const target = await targetOf(app, candidate)
  const deployer_state = await within(DEPLOY_LIMIT_S * 1000, deployer.deploy(target))
  if (after !== 'active') await deployer.hibernate({ ...target, deployment: { ...candidate, deployer_state } })
  return deployer_state
}

const putInForce = async (
  app: DriveApp,
  input: ProvisionInput,
  revision: Revision,
  status: DeploymentStatus,
  deployer_state: JsonObject,
): Promise<{ outcome: string }> => {
  const name = { organization_id: input.organization_id, id: input.deployment_id }
  let was_recording = false
  const { deployment, changed } = await changeDeployment(app, name, async (latest) => {
    if (latest.transition?.id !== input.transition_id) return undefined
    was_recording = Boolean(latest.record_requests)
    const old = latest.original_model_id
    const released =
      old === undefined || old === revision.original_model_id ? [] : await releaseModel(app, name.organization_id, old, name.id)
    const noted = revision.record_requests ? [noteRecording(name)] : []
    const next = inState(app, withRevision(latest, revision), {
      ...{ status, deployer_state, failed_activations: 0, status_reason: null, transition: null, canary: null },
      endpoint: endpointOf(latest, deployer_state),
    })
    return { next, operations: [...released, ...noted, ...(await noteUp(app, name, input.revision))] }
  })
  if (!changed) await align(app, deployment)
  if (changed && was_recording && !revision.record_requests) await forgetRecordedRequests(app, name)
  return { outcome: changed ? 'in_force' : 'superseded' }
}
