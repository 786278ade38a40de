import { notFound, PlatformError } from '../contract/errors.ts'
import type { Message } from '../contract/lists.ts'
import type { Reply } from '../contract/route-row.ts'
import { type Deployment, type DeploymentStatus, mayBecome } from '../domain/deployment.ts'
import type { App } from '../ports/app.ts'
import type { Operation } from '../ports/records.ts'
import { awaitDeployment } from './await-deployment.ts'
import { changeDeployment, inState } from './change-deployment.ts'
import { type DeploymentName, readDeployment } from './deployment-records.ts'
import { type DriveApp, driveDeployment } from './drive-deployment.ts'
import { releasePending } from './revisions.ts'

export type Verb = 'activate' | 'hibernate' | 'stop' | 'delete'

/** The state a deployment passes through while the deployer works, the one it ends in, and how a person says it. */
const plans = {
  activate: { via: 'activating', done: 'active', past: 'activated' },
  hibernate: { via: 'hibernating', done: 'hibernated', past: 'hibernated' },
  stop: { via: 'stopped', done: 'stopped', past: 'stopped' },
  delete: { via: 'deleted', done: 'deleted', past: 'deleted' },
} as const satisfies Record<Verb, { via: DeploymentStatus; done: DeploymentStatus; past: string }>

/** How long a management call waits for the new state before it answers 202. */
export const SETTLE_WAIT_MS = 20_000
/** What the deployer may take; releasing also waits for running requests. */
const VERB_LIMIT_S = 120

/** Fails with `illegal_transition` (facts.state), saying what the deployment is and what was wanted. */
export const illegalMove = ({ id, status }: Pick<Deployment, 'id' | 'status'>, wanted: string): PlatformError =>
  new PlatformError('illegal_transition', `Deployment ${id} is ${status} and cannot ${wanted} now`, { facts: { state: status } })

export interface Beginning {
  reason: string
  /** Judges the deployment as read in the transaction; false leaves it as it is. */
  allowed?: (current: Deployment) => boolean
  /** What belongs to the same transaction. */
  operations?: (current: Deployment) => Operation[]
}

/**
 * Begins a transition and has it carried out. Primary course: the conditional write to the passing state makes this caller the one
 * who drives it. A deployment that is there already, or on its way there, is left as it is. `allowed` may refuse or skip after
 * seeing the state read. Fails with `not_found` or `illegal_transition`.
 */
export const beginTransition = async (
  app: DriveApp,
  name: DeploymentName,
  verb: Verb,
  { reason, allowed, operations }: Beginning,
): Promise<{ deployment: Deployment; changed: boolean }> => {
  const { via, done } = plans[verb]
  const { deployment, changed } = await changeDeployment(app, name, async (current) => {
    if (current.status === 'deleted' && (verb !== 'delete' || current.transition === null)) throw notFound('Deployment', name.id)
    if (current.status === via || current.status === done || allowed?.(current) === false) return undefined
    if (!mayBecome(current.status, via) || isBeingReleased(current, verb)) throw illegalMove(current, verb)
    const transition = newTransition(app, current, VERB_LIMIT_S + current.resource_requirements.timeout)
    return {
      next: inState(app, current, { status: via, status_reason: reason, transition, ...withoutCanary(current) }),
      operations: [...(operations?.(current) ?? []), ...(await givenUp(app, current, verb))],
    }
  })
  if (changed) await driveDeployment(app, deployment)
  return { deployment, changed }
}

/** Whatever brings a deployment down ends its canary: it comes up again with the revision in force alone. */
const withoutCanary = ({ canary }: Deployment): Pick<Deployment, 'canary'> => (canary ? { canary: null } : {})

/** Stopping an update gives its revision up, and with it the claim on its model. Deleting releases all claims anyway. */
const givenUp = async (app: Pick<App, 'records'>, current: Deployment, verb: Verb): Promise<Operation[]> =>
  verb === 'stop' && current.transition?.revision !== undefined ? releasePending(app, current, current.transition.revision) : []

/** A stopped deployment whose instances are still going down; only deleting it does not wait for that. */
const isBeingReleased = ({ status, transition }: Deployment, verb: Verb): boolean =>
  status === 'stopped' && transition !== null && verb !== 'delete'

export const newTransition = (app: Pick<App, 'now' | 'newId'>, { status }: Deployment, limit_s: number) => ({
  id: app.newId('trn'),
  until: new Date(app.now().getTime() + limit_s * 1000).toISOString(),
  from: status,
})

/**
 * The management routes: begins the transition, waits until it is settled, answers the reference's message; 202 with the current state
 * when it takes longer than `wait_ms`. Fails with `deployment_unavailable` (facts.state) when the deployer did not manage.
 */
export const transitionDeployment = async (
  app: DriveApp,
  name: DeploymentName,
  verb: Verb,
  wait_ms = SETTLE_WAIT_MS,
): Promise<Reply<Message & { status?: DeploymentStatus }>> => {
  const { past, via, done } = plans[verb]
  await readDeployment(app, name, verb === 'delete')
  await untilReleased(app, name, verb, wait_ms)
  await beginTransition(app, name, verb, { reason: `${past} by request` })
  const seen = await awaitDeployment(app, name, ({ transition }) => transition === null, wait_ms)
  const status = seen?.status ?? 'deleted'
  if (status === done && (seen?.transition ?? null) === null)
    return { body: { message: `Deployment ${name.id} ${past} successfully` } }
  if (status === via) {
    return {
      status: 202,
      body: { message: `Deployment ${name.id} is not ${past} yet; it is ${status}. Ask GET /deployments/${name.id}`, status },
    }
  }
  throw new PlatformError(
    'deployment_unavailable',
    `Deployment ${name.id} could not be ${past}; it is ${status}: ${seen?.status_reason ?? 'changed by another request'}`,
    {
      facts: { state: status },
    },
  )
}

/** Activating waits for a stop that is still releasing. */
const untilReleased = async (app: DriveApp, name: DeploymentName, verb: Verb, wait_ms: number): Promise<void> => {
  if (verb !== 'activate') return
  await awaitDeployment(app, name, (deployment) => deployment.status !== 'stopped' || deployment.transition === null, wait_ms)
}
