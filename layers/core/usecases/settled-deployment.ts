import type { PlatformError } from '../contract/errors.ts'
import type { Deployment } from '../domain/deployment.ts'
import type { JsonObject } from '../domain/json.ts'
import type { App } from '../ports/app.ts'
import { type Decision, inState } from './change-deployment.ts'

/** Activations in a row that may fail before the deployment does. */
const MOST_FAILED_ACTIVATIONS = 3
const RETRY_AFTER_MS = 5_000

/** How the deployer's verb went; `deployed` where the deployment came up for the first time. */
export interface Outcome {
  fault?: PlatformError
  deployed?: JsonObject
}

type Needs = Pick<App, 'now' | 'config'>

/** Where a transition ends, by its state and whether the deployer managed. */
export const settledDeployment = (app: Needs, deployment: Deployment, { fault, deployed }: Outcome): Decision => {
  const { status, status_reason } = deployment
  const next = (change: Pick<Deployment, 'status'> & Partial<Deployment>) =>
    inState(app, deployment, { status_reason, transition: null, ...change })
  if (status === 'activating') {
    if (fault !== undefined) return { next: next(afterFailedActivation(deployment, fault)) }
    const first = deployed === undefined ? {} : { deployer_state: deployed, endpoint: endpointOf(deployment, deployed) }
    return { next: next({ status: 'active', failed_activations: 0, ...first }) }
  }
  if (status === 'updating') return { next: next(afterShift(deployment, { fault, deployed })) }
  if (status === 'hibernating') {
    const kept = { status: 'active', status_reason: `could not hibernate: ${fault?.message}` } as const
    return { next: next(fault === undefined ? { status: 'hibernated' } : kept) }
  }
  if (fault !== undefined) return later(app, deployment, fault)
  return { next: next({ status }) }
}

/** What the deployer names as its address, else a path below the platform's public URL. */
export const endpointOf = ({ id }: Pick<Deployment, 'id'>, deployer_state: JsonObject): string =>
  typeof deployer_state.endpoint === 'string' ? deployer_state.endpoint : `/deployments/${id}/inference`

/** The share is in force, or everything is as it was and the reason says why. */
const afterShift = ({ transition }: Deployment, { fault, deployed = {} }: Outcome) =>
  fault === undefined
    ? { status: 'active' as const, status_reason: null, canary: transition?.canary ?? null, deployer_state: deployed }
    : { status: 'active' as const, status_reason: `could not shift requests: ${fault.message}` }

/** A sleeper falls asleep again and the next request retries, a few times; what a person started fails at once. */
const afterFailedActivation = (deployment: Deployment, fault: PlatformError) => {
  const failed_activations = (deployment.failed_activations ?? 0) + 1
  const again = deployment.transition?.from === 'hibernated' && failed_activations < MOST_FAILED_ACTIVATIONS
  const status = again ? ('hibernated' as const) : ('failed' as const)
  return { status, failed_activations, status_reason: `could not activate: ${fault.message}` }
}

/** Releasing goes on until it works: the state stays and the transition becomes due for repair soon. */
const later = (app: Pick<App, 'now'>, deployment: Deployment, fault: PlatformError): Decision => {
  const until = new Date(app.now().getTime() + RETRY_AFTER_MS).toISOString()
  const transition = deployment.transition === null ? null : { ...deployment.transition, until }
  return {
    next: inState(app, deployment, { status: deployment.status, transition, status_reason: `still releasing: ${fault.message}` }),
  }
}
