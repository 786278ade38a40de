import type { Deployment } from '../domain/deployment.ts'
import { startProvisioning } from './begin-revision.ts'
import { changeDeployment, inState } from './change-deployment.ts'
import { deployerOf } from './check-deployable.ts'
import { ACTIVE, IN_FLIGHT, parseDeployment } from './deployment-records.ts'
import { type DriveApp, driveDeployment } from './drive-deployment.ts'
import { everyStored } from './every-stored.ts'
import { targetOf } from './resolve-model.ts'
import { settleFailedRevision } from './settle-deployment.ts'
import { newTransition } from './transition-deployment.ts'

const TAKE_OVER_LIMIT_S = 120
const PIPELINE_LOOK_S = 60

/**
 * Finishes what a crash or a lost call left half done. Primary course: every deployment whose transition is overdue is taken over by a
 * conditional write that gives the transition a new id, and driven to its end; one that is being provisioned has its pipeline started
 * again or, where that is over, is settled as failed. With `host_restarted` nothing that ran in this host runs any more, so that every
 * transition counts as overdue, and active deployments whose instances are gone are activated again. The drives run on after this
 * has resolved; meanwhile requests wait as for any deployment that is activating.
 */
export const repairInFlight = async (
  app: DriveApp,
  { host_restarted = false }: { host_restarted?: boolean } = {},
): Promise<{ repaired: number; restarted: number; failed: number }> => {
  const summary = { repaired: 0, restarted: 0, failed: 0 }
  const tried = async (kind: 'repaired' | 'restarted', deployment: Deployment, work: () => Promise<boolean>) => {
    try {
      if (await work()) summary[kind] += 1
    } catch (error) {
      summary.failed += 1
      app.log.warn('not_repaired', { deployment_id: deployment.id, status: deployment.status, error: String(error) })
    }
  }
  const overdue = host_restarted ? {} : { to: app.now().toISOString() }
  for await (const stored of everyStored(app.records, { index: 'worklist', pk: IN_FLIGHT, ...overdue })) {
    const deployment = parseDeployment(stored)
    await tried('repaired', deployment, () => repair(app, deployment))
  }
  if (!host_restarted) return summary
  for await (const stored of everyStored(app.records, { index: 'worklist', pk: ACTIVE })) {
    const deployment = parseDeployment(stored)
    await tried('restarted', deployment, () => restart(app, deployment))
  }
  return summary
}

/** The index may be a moment old: acts only if the very transition is still under way. */
const repair = async (app: DriveApp, seen: Deployment): Promise<boolean> => {
  const is_provisioned = seen.status === 'creating' || (seen.status === 'updating' && seen.transition?.canary === undefined)
  if (is_provisioned) return repairProvisioning(app, seen)
  const { deployment, changed } = await changeDeployment(app, seen, (current) => {
    if (current.transition === null || current.transition.id !== seen.transition?.id) return undefined
    const limit_s = TAKE_OVER_LIMIT_S + current.resource_requirements.timeout
    const transition = { ...current.transition, ...newTransition(app, current, limit_s), from: current.transition.from }
    return { next: { ...current, transition } }
  })
  if (changed) await driveDeployment(app, deployment)
  return changed
}

const repairProvisioning = async (app: DriveApp, seen: Deployment): Promise<boolean> => {
  const { transition } = seen
  if (transition === null) return false
  const execution = await app.workflows.status('provision-deployment', transition.id)
  if (execution !== undefined && execution.state !== 'running') {
    const { organization_id, id: deployment_id } = seen
    const input = { organization_id, deployment_id, transition_id: transition.id, revision: transition.revision ?? seen.revision }
    await settleFailedRevision(app, input, execution.error?.detail ?? 'its provisioning ended without an answer')
    return true
  }
  const { deployment, changed } = await changeDeployment(app, seen, (current) => {
    if (current.transition?.id !== transition.id) return undefined
    const until = new Date(app.now().getTime() + PIPELINE_LOOK_S * 1000).toISOString()
    return { next: { ...current, transition: { ...current.transition, until } } }
  })
  if (changed && execution === undefined) await startProvisioning(app, deployment)
  return changed
}

/** Its instances died with the host; one that may have none at all starts with its next request. Requests wait from the moment this is written. */
const restart = async (app: DriveApp, seen: Deployment): Promise<boolean> => {
  const deployer = deployerOf(app, seen.deployment_type)
  if (deployer.capabilities.scales_to_zero && seen.scaling_policy.min_instances === 0) return false
  if ((await deployer.status(await targetOf(app, seen))).ready) return false
  const { deployment, changed } = await changeDeployment(app, seen, (current) => {
    if (current.status !== 'active' || current.transition !== null) return undefined
    const transition = newTransition(app, current, TAKE_OVER_LIMIT_S + current.resource_requirements.timeout)
    return { next: inState(app, current, { status: 'activating', status_reason: 'its host restarted', transition }) }
  })
  if (changed) await driveDeployment(app, deployment)
  return changed
}
