import { asPlatformError, notFound, PlatformError } from '../contract/errors.ts'
import { isPending } from '../contract/pipelines.ts'
import type { Canary, Deployment } from '../domain/deployment.ts'
import type { JsonObject } from '../domain/json.ts'
import type { App } from '../ports/app.ts'
import type { Deployer } from '../ports/deployer.ts'
import { changeDeployment } from './change-deployment.ts'
import { deployerOf } from './check-deployable.ts'
import { inTurn, memoryOf } from './deployment-memory.ts'
import { readAnyDeployment } from './deployment-records.ts'
import { forgetRecordedRequests } from './recorded-requests.ts'
import { targetForRelease, targetOf } from './resolve-model.ts'
import { noteUp, readRevision, releaseHoldings, withRevision } from './revisions.ts'
import { type Outcome, settledDeployment } from './settled-deployment.ts'

export type DriveApp = Pick<App, 'records' | 'now' | 'deployers' | 'log' | 'newId' | 'config' | 'workflows'> &
  Partial<Pick<App, 'artifacts'>>

/**
 * Carries out the transition a deployment is in: the deployer's verb, then the conditional write that settles it. One run per
 * transition and process; whoever comes second shares the first one's answer. Loses gracefully: when somebody else took the
 * transition over meanwhile, what the deployer was told is made to match what is on record. Never rejects for the deployer's faults,
 * they end in the deployment's state; rejects when the records do, and then `repairInFlight` finishes the work.
 */
export const carryOut = (app: DriveApp, started: Deployment): Promise<Deployment> => {
  const memory = memoryOf(app)
  const id = started.transition?.id
  if (id === undefined) return Promise.resolve(started)
  const known = memory.drives.get(id)
  if (known !== undefined) return known
  const running = inTurn(memory, started.id, () => run(app, started, id)).finally(() => memory.drives.delete(id))
  memory.drives.set(id, running)
  return running
}

/**
 * Has a transition carried out; resolves when that goes on by itself, long before it is done. In this process nothing is waited for; in
 * a process that may freeze after its reply the pipeline must have been started. Faults are logged and left to repair.
 */
export const driveDeployment = async (app: DriveApp, started: Deployment): Promise<void> => {
  const left = (error: unknown): void =>
    app.log.warn('transition_left_for_repair', { deployment_id: started.id, status: started.status, error: String(error) })
  if (app.config.drives_in === 'pipeline') return startDrive(app, started).catch(left)
  carryOut(app, started).catch(left)
}

/** The end of what this process carries out for the deployment now; at once when that is nothing. */
export const carriedOut = async (app: Pick<App, 'records'>, { transition }: Deployment): Promise<void> => {
  await memoryOf(app).drives.get(transition?.id ?? '')
}

/** Under the transition's id, so that a repeat is the same execution. */
const startDrive = async (app: DriveApp, { organization_id, id, transition }: Deployment): Promise<void> => {
  if (transition === null) return
  const input = { organization_id, deployment_id: id, transition_id: transition.id }
  await app.workflows.start('drive-transition', transition.id, input)
}

const run = async (app: DriveApp, started: Deployment, transition_id: string): Promise<Deployment> => {
  const current = await readAnyDeployment(app, started)
  if (current?.transition?.id !== transition_id) return current ?? started
  const outcome = await attempt(app, current)
  const { deployment, changed } = await changeDeployment(app, current, async (latest) => {
    if (latest.transition?.id !== transition_id) return undefined
    const settled = settledDeployment(app, latest, outcome)
    return settled && outcome.deployed ? { ...settled, operations: await noteUp(app, latest, latest.revision) } : settled
  })
  const half_done = outcome.fault !== undefined && deployment.transition === null
  if (!changed || half_done) await align(app, deployment)
  app.log.info('deployment_settled', {
    deployment_id: deployment.id,
    status: deployment.status,
    reason: deployment.status_reason,
  })
  return deployment
}

/** Tells the deployer; answers what went wrong, if anything. */
const attempt = async (app: DriveApp, deployment: Deployment): Promise<Outcome> => {
  const left_ms = Date.parse(deployment.transition?.until ?? '') - app.now().getTime()
  try {
    const deployed = await within(Math.max(1000, left_ms), act(app, deployerOf(app, deployment.deployment_type), deployment))
    return deployed === undefined ? {} : { deployed }
  } catch (error) {
    const fault = asPlatformError(error)
    // It goes on elsewhere: the pipeline asks again, or repair does.
    if (isPending(fault)) throw fault
    app.log.warn('deployer_failed', {
      deployment_id: deployment.id,
      status: deployment.status,
      code: fault.code,
      cause: String(fault.cause ?? fault.message),
    })
    return { fault }
  }
}

/** One that was never up is deployed instead of activated; answers what its deployer then wants remembered. */
const act = async (app: DriveApp, deployer: Deployer, deployment: Deployment): Promise<JsonObject | undefined> => {
  const never_up = deployment.endpoint === null
  if (deployment.status === 'activating' && never_up) return deployer.deploy(await targetOf(app, deployment))
  if (deployment.status === 'updating') return shiftTo(app, deployer, deployment, deployment.transition?.canary ?? null)
  if (deployment.status === 'activating') {
    await deployer.activate(await targetOf(app, deployment))
    // Only a host that restarted finds one here: it had to leave its canary behind.
    if (deployment.canary) return shiftTo(app, deployer, deployment, deployment.canary)
  }
  if (deployment.status === 'deleted') {
    await deployer.undeploy(await targetForRelease(app, deployment))
    if (deployment.record_requests) await forgetRecordedRequests(app, deployment)
    await releaseHoldings(app, deployment)
  }
  if (deployment.status === 'hibernating' || deployment.status === 'stopped') {
    await deployer.hibernate(await targetForRelease(app, deployment))
  }
  return undefined
}

/** Has the deployer send its share elsewhere; answers what it then wants remembered. Fails with `not_found` when the revision is gone. */
const shiftTo = async (app: DriveApp, deployer: Deployer, deployment: Deployment, canary: Canary | null): Promise<JsonObject> => {
  if (deployer.shift === undefined)
    throw new PlatformError('invalid_request', `Deployments of type ${deployer.type} have no canaries`)
  const target = await targetOf(app, deployment)
  if (canary === null) return deployer.shift(target, null)
  const revision = await readRevision(app, deployment, canary.revision)
  if (revision === undefined) throw notFound(`Revision of deployment ${deployment.id}`, String(canary.revision))
  const other = { ...withRevision(deployment, revision), name: deployment.name }
  return deployer.shift(target, canary, await targetOf(app, other))
}

/** Somebody else decided meanwhile: make the deployer match the record, best effort, since their own verbs do the same. */
export const align = async (app: DriveApp, deployment: Deployment): Promise<void> => {
  const acts = {
    deleted: 'undeploy',
    stopped: 'hibernate',
    hibernated: 'hibernate',
    active: 'activate',
    failed: 'hibernate',
  } as const
  const verb = deployment.status in acts ? acts[deployment.status as keyof typeof acts] : undefined
  if (verb === undefined) return
  try {
    await deployerOf(app, deployment.deployment_type)[verb](await targetForRelease(app, deployment))
  } catch (error) {
    app.log.warn('deployer_not_aligned', { deployment_id: deployment.id, status: deployment.status, error: String(error) })
  }
}

/** Fails with `timeout` when the work takes longer; the work itself cannot be stopped. */
export const within = async <Answer>(limit_ms: number, work: Promise<Answer>): Promise<Answer> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new PlatformError('timeout', `The deployer did not finish within ${Math.ceil(limit_ms / 1000)} s`)),
      limit_ms,
    )
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
