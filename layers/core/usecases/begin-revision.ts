import { notFound, PlatformError } from '../contract/errors.ts'
import type { Reply } from '../contract/route-row.ts'
import type { Revision } from '../contract/routes/deployments.ts'
import { type Deployment, type DeploymentReply, type DeploymentSpec, deploymentReply, mayBecome } from '../domain/deployment.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { awaitDeployment } from './await-deployment.ts'
import { changeDeployment, inState } from './change-deployment.ts'
import { claimModel } from './model-use.ts'
import { putRevision, readRevisions, specOf } from './revisions.ts'
import { illegalMove, newTransition, SETTLE_WAIT_MS } from './transition-deployment.ts'

export type RevisionApp = Pick<App, 'records' | 'now' | 'newId' | 'workflows' | 'deployers' | 'log' | 'config'>

/** What a new revision is made of. */
export interface NextRevision {
  name: string
  spec: DeploymentSpec
  resolved_model_id: string
  original_model_id: string
  rolled_back_from: number | null
}

/** Until the pipeline has begun; it then takes the time it needs. */
const START_LIMIT_S = 30

/**
 * Writes the next revision of a deployment and has it brought up. Primary course: the revision, the claim on its model and the move to
 * `updating` are one transaction; the pipeline deploys it while the old revision serves. Answers the new body once it is in force,
 * 202 with the present one and a message after `wait_ms`. Fails with `illegal_transition`, or `deployment_unavailable` when the
 * revision could not be brought up and the old one stays.
 */
export const beginRevision = async (
  app: RevisionApp,
  principal: Pick<Principal, 'organization_id' | 'id'>,
  deployment_id: string,
  next: (current: Deployment) => Promise<NextRevision>,
  wait_ms = SETTLE_WAIT_MS,
): Promise<Reply<DeploymentReply & { message?: string }>> => {
  const name = { organization_id: principal.organization_id, id: deployment_id }
  let revision = 0
  const { deployment } = await changeDeployment(app, name, async (current) => {
    if (current.status === 'deleted') throw notFound('Deployment', deployment_id)
    if (!mayBecome(current.status, 'updating') || current.transition !== null) throw illegalMove(current, 'be updated')
    const wanted = await next(current)
    revision = ((await readRevisions(app, name, 1))[0]?.revision ?? current.revision) + 1
    const claim =
      wanted.original_model_id === current.original_model_id
        ? []
        : await claimModel(app, name.organization_id, wanted.original_model_id, deployment_id)
    const transition = { ...newTransition(app, current, START_LIMIT_S), revision }
    return {
      next: inState(app, current, { status: 'updating', status_reason: `bringing up revision ${revision}`, transition }),
      operations: [putRevision(name, revisionOf(app, principal, revision, wanted)), ...claim],
    }
  })
  await startProvisioning(app, deployment)
  const seen = await awaitDeployment(app, name, ({ transition }) => transition?.id !== deployment.transition?.id, wait_ms)
  return answer(app, seen, deployment, revision)
}

/** Also the first revision of a new deployment. */
export const revisionOf = (
  app: Pick<App, 'now'>,
  by: Pick<Principal, 'id'>,
  revision: number,
  wanted: NextRevision,
): Revision => ({
  ...specOf(wanted.spec),
  name: wanted.name,
  revision,
  resolved_model_id: wanted.resolved_model_id,
  original_model_id: wanted.original_model_id,
  created_at: app.now().toISOString(),
  created_by: by.id,
  rolled_back_from: wanted.rolled_back_from,
})

/** Starts the pipeline under the transition's id. When that fails the deployment is found overdue and repaired, so it is only logged. */
export const startProvisioning = async (app: Pick<App, 'workflows' | 'log'>, deployment: Deployment): Promise<void> => {
  const { transition, organization_id, id } = deployment
  if (transition === null) return
  const input = {
    organization_id,
    deployment_id: id,
    transition_id: transition.id,
    revision: transition.revision ?? deployment.revision,
  }
  try {
    await app.workflows.start('provision-deployment', transition.id, input)
  } catch (error) {
    app.log.warn('provisioning_left_for_repair', { deployment_id: id, error: String(error) })
  }
}

const answer = (
  { config }: Pick<App, 'config'>,
  seen: Deployment | undefined,
  begun: Deployment,
  revision: number,
): Reply<DeploymentReply & { message?: string }> => {
  if (seen === undefined || seen.status === 'deleted') throw notFound('Deployment', begun.id)
  if (seen.revision >= revision) return { body: deploymentReply(seen, config) }
  if (seen.transition?.id === begun.transition?.id) {
    const message = `Revision ${revision} of deployment ${seen.id} is not up yet; revision ${seen.revision} is in force. Ask GET /deployments/${seen.id}`
    return { status: 202, body: { ...deploymentReply(seen, config), message } }
  }
  throw new PlatformError(
    'deployment_unavailable',
    `Revision ${revision} of deployment ${seen.id} could not be brought up (${seen.status_reason ?? 'replaced by another change'}); revision ${seen.revision} stays in force`,
    { facts: { state: seen.status, revision: seen.revision } },
  )
}
