import { notFound, PlatformError } from '../contract/errors.ts'
import type { Reply } from '../contract/route-row.ts'
import { type Canary, type Deployment, type DeploymentReply, deploymentReply } from '../domain/deployment.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { awaitDeployment } from './await-deployment.ts'
import { changeDeployment, inState } from './change-deployment.ts'
import { deployerOf } from './check-deployable.ts'
import { type DriveApp, driveDeployment } from './drive-deployment.ts'
import { readRevision } from './revisions.ts'
import { illegalMove, newTransition, SETTLE_WAIT_MS } from './transition-deployment.ts'

/** What the deployer may take: variants of an endpoint are replaced one by one. */
const SHIFT_LIMIT_S = 120

/**
 * Sends a share of a deployment's requests to an earlier revision, or all to the one in force again (null). Primary course: the move to
 * `updating`, which remembers the share, is one conditional write; the deployer is told; a second write puts the share on record. No
 * revision is made, the deployment serves all the time, and a crash in between is repaired like any other transition. What is so
 * already is left so. Answers the deployment, 202 after `wait_ms`. Fails with `invalid_request` where there can be no such canary,
 * `illegal_transition` while another change is under way, `deployment_unavailable` when the deployer did not manage.
 */
export const shiftTraffic = async (
  app: DriveApp,
  { organization_id }: Pick<Principal, 'organization_id'>,
  deployment_id: string,
  canary: Canary | null,
  wait_ms = SETTLE_WAIT_MS,
): Promise<Reply<DeploymentReply & { message?: string }>> => {
  const name = { organization_id, id: deployment_id }
  const { deployment, changed } = await changeDeployment(app, name, async (current) => {
    if (current.status === 'deleted') throw notFound('Deployment', deployment_id)
    if (current.transition !== null) throw illegalMove(current, 'shift its requests')
    if (isSame(current.canary ?? null, canary)) return undefined
    await assertCanary(app, current, canary)
    const transition = { ...newTransition(app, current, SHIFT_LIMIT_S + current.resource_requirements.timeout), canary }
    return { next: inState(app, current, { status: 'updating', status_reason: intentOf(current, canary), transition }) }
  })
  if (!changed) return { body: deploymentReply(deployment, app.config) }
  await driveDeployment(app, deployment)
  const seen = await awaitDeployment(app, name, ({ transition }) => transition?.id !== deployment.transition?.id, wait_ms)
  return answer(app, seen, deployment, canary)
}

const isSame = (one: Canary | null, other: Canary | null): boolean =>
  one?.revision === other?.revision && one?.percent === other?.percent

const intentOf = ({ revision }: Deployment, canary: Canary | null): string =>
  canary === null
    ? `sending all requests to revision ${revision}`
    : `sending ${canary.percent} % of the requests to revision ${canary.revision}`

/** Fails with `invalid_request` naming the member. Ending a canary needs no more than that there is one. */
const assertCanary = async (
  app: Pick<App, 'records' | 'deployers'>,
  current: Deployment,
  canary: Canary | null,
): Promise<void> => {
  const deployer = deployerOf(app, current.deployment_type)
  if (deployer.shift === undefined) {
    const able = [...app.deployers.values()].filter(({ shift }) => shift !== undefined).map(({ type }) => type)
    throw refused('', `deployments of type ${deployer.type} have no canaries; types that have: ${able.join(', ') || 'none here'}`)
  }
  if (canary === null) return
  if (current.status !== 'active')
    throw refused('', `deployment ${current.id} is ${current.status}; wanted an active one, which has requests to share`)
  const why = deployer.refusesCanary?.(current)
  if (why !== undefined) throw refused('', why)
  if (canary.revision === current.revision)
    throw refused('/revision', `got ${canary.revision}, which is the revision in force; wanted an earlier one`)
  const revision = await readRevision(app, current, canary.revision)
  if (revision === undefined)
    throw refused('/revision', `got ${canary.revision}; deployment ${current.id} has revisions up to ${current.revision}`)
  // Each revision judges its callers by its own rule: an open one would let a share of the unproven in.
  if (revision.endpoint_auth !== current.endpoint_auth) {
    const got = `revision ${canary.revision} has endpoint_auth ${revision.endpoint_auth}`
    throw refused('/revision', `${got}, revision ${current.revision} in force has ${current.endpoint_auth}; wanted the same`)
  }
  if (revision.up_at === undefined) throw refused('/revision', `got ${canary.revision}, which never came up; wanted one that did`)
}

const refused = (member: string, detail: string): PlatformError => {
  const pointer = `/canary${member}`
  return new PlatformError('invalid_request', `${pointer}: ${detail}`, { errors: [{ pointer, detail }] })
}

const answer = (
  { config }: Pick<App, 'config'>,
  seen: Deployment | undefined,
  begun: Deployment,
  canary: Canary | null,
): Reply<DeploymentReply & { message?: string }> => {
  if (seen === undefined || seen.status === 'deleted') throw notFound('Deployment', begun.id)
  if (seen.transition?.id === begun.transition?.id) {
    const message = `Requests of deployment ${seen.id} are not shifted yet. Ask GET /deployments/${seen.id}`
    return { status: 202, body: { ...deploymentReply(seen, config), message } }
  }
  if (isSame(seen.canary ?? null, canary)) return { body: deploymentReply(seen, config) }
  throw new PlatformError(
    'deployment_unavailable',
    `Requests of deployment ${seen.id} could not be shifted: ${seen.status_reason ?? 'changed by another request'}`,
    { facts: { state: seen.status } },
  )
}
