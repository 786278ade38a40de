import { isPlatformError, notFound, PlatformError } from '../contract/errors.ts'
import type { Deployment } from '../domain/deployment.ts'
import { awaitDeployment } from './await-deployment.ts'
import { memoryOf } from './deployment-memory.ts'
import type { DeploymentName } from './deployment-records.ts'
import type { DriveApp } from './drive-deployment.ts'
import { beginTransition } from './transition-deployment.ts'

export interface Woken {
  deployment: Deployment
  /** This call, of all that waited, started the activation: the cold start is counted once. */
  started: boolean
}

/** Whether requests can be sent to it now: while an update runs, the old revision serves. */
export const isServing = ({ status, transition }: Deployment): boolean =>
  status === 'active' || (status === 'updating' && transition?.from === 'active')

const isOnItsWay = (deployment: Deployment): boolean =>
  deployment.status === 'creating' ||
  deployment.status === 'activating' ||
  deployment.status === 'hibernating' ||
  deployment.status === 'updating'

/**
 * Brings a sleeping deployment up and waits for it. Primary course: the first of many requests writes hibernated → activating and
 * drives it, all others wait. One that is just falling asleep, being created or updated is waited for. Fails with
 * `deployment_waking` (Retry-After) after `wait_ms`, `deployment_unavailable` (facts.state) for stopped and failed ones, `not_found`.
 */
export const wakeDeployment = async (
  app: DriveApp,
  name: DeploymentName,
  wait_ms: number,
  signal?: AbortSignal,
): Promise<Woken> => {
  const until_ms = app.now().getTime() + wait_ms
  let started = false
  for (let tried = false; ; tried = true) {
    const left_ms = until_ms - app.now().getTime()
    const seen = await awaitDeployment(app, name, (deployment) => !isOnItsWay(deployment), left_ms, signal)
    if (seen === undefined || seen.status === 'deleted') throw notFound('Deployment', name.id)
    if (isServing(seen)) return { deployment: seen, started }
    if (isOnItsWay(seen)) throw stillWaking(seen)
    if (seen.status !== 'hibernated') throw unavailable(seen)
    if (tried && (seen.failed_activations ?? 0) > 0) throw unavailable(seen)
    if (tried && left_ms <= 0) throw stillWaking(seen)
    started = (await startsActivation(app, name)) || started
  }
}

/** True for the one caller whose write finds it hibernated; all others in this process wait for that write instead of trying their own. */
const startsActivation = async (app: DriveApp, name: DeploymentName): Promise<boolean> => {
  const { wakes } = memoryOf(app)
  const known = wakes.get(name.id)
  if (known !== undefined) {
    await known
    return false
  }
  const mine = begin(app, name).finally(() => wakes.delete(name.id))
  wakes.set(name.id, mine)
  return mine
}

const begin = async (app: DriveApp, name: DeploymentName): Promise<boolean> => {
  try {
    const { changed } = await beginTransition(app, name, 'activate', {
      reason: 'woken by a request',
      allowed: ({ status }) => status === 'hibernated',
    })
    return changed
  } catch (error) {
    if (isPlatformError(error, 'illegal_transition')) return false
    throw error
  }
}

const RETRY_AFTER_S = 2

const stillWaking = ({ id, status }: Deployment): PlatformError =>
  new PlatformError('deployment_waking', `Deployment ${id} is ${status}; repeat the request in a moment`, {
    retry_after_s: RETRY_AFTER_S,
    facts: { state: status },
  })

export const unavailable = ({ id, status, status_reason }: Deployment): PlatformError => {
  const advice = status === 'hibernated' ? 'repeat the request to try again' : `POST /deployments/${id}/activate brings it back`
  const why = status_reason === null ? '' : ` (${status_reason})`
  return new PlatformError('deployment_unavailable', `Deployment ${id} is ${status}${why}; ${advice}`, {
    facts: { state: status },
    ...(status === 'hibernated' ? { retry_after_s: RETRY_AFTER_S } : {}),
  })
}
