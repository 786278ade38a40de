import { PlatformError } from '../core/contract/errors.ts'
import type { Deployment } from '../core/domain/deployment.ts'
import { type CompleteDeployer, type DeployTarget, defineDeployer } from '../core/ports/deployer.ts'
import { endShares, pointAlias, readAlias, sameAlias } from './lambda/alias.ts'
import { deployRevision } from './lambda/deploy.ts'
import { lambdaFace } from './lambda/face.ts'
import { invokeFunction } from './lambda/invoke.ts'
import { functionName } from './lambda/names.ts'
import { connected, type LambdaParts } from './lambda/parts.ts'
import { translated } from './lambda/patience.ts'
import { aliasFor, reconcileDeployment } from './lambda/reconcile.ts'
import { removeDeployment, removeUnwanted } from './lambda/removal.ts'
import { keepWarm, provisionedNow, releaseWarm, reserve } from './lambda/scaling.ts'
import { stateOf } from './lambda/state.ts'
import { listVersions } from './lambda/versions.ts'

/**
 * `serverless` on AWS: one Lambda function per deployment, one published version per revision, one alias with a function URL that callers
 * reach without the platform between. Asleep it keeps function, alias and address, which cost nothing; a call of the address then starts
 * an instance as it would for any function, so that the endpoint answers on every rung.
 */
export const lambdaDeployer = (given: LambdaParts): CompleteDeployer => {
  const parts = connected(given)
  /** Calls under way through this process, where nothing else keeps `max_instances`. */
  const running = new Map<string, number>()

  const admitted = async <Answer>({ deployment }: DeployTarget, act: () => Promise<Answer>): Promise<Answer> => {
    if (stateOf(deployment.deployer_state)?.admission !== 'platform') return act()
    const { id, scaling_policy } = deployment
    const now = running.get(id) ?? 0
    if (now >= scaling_policy.max_instances)
      throw new PlatformError('overloaded', `Deployment ${id} has ${now} calls under way, as many as max_instances`, {
        retry_after_s: 1,
      })
    running.set(id, now + 1)
    try {
      return await act()
    } finally {
      const left = (running.get(id) ?? 1) - 1
      if (left > 0) running.set(id, left)
      else running.delete(id)
    }
  }

  return defineDeployer({
    ...lambdaFace,
    deploy: (target) => translated('Deploying to AWS Lambda', () => deployRevision(parts, target)),
    status: (target) => translated('Asking AWS Lambda', () => statusOf(parts, target)),
    infer: (target, request) => admitted(target, () => invokeFunction(parts, target, request)),
    hibernate: ({ deployment }) => translated('Hibernating on AWS Lambda', () => putToSleep(parts, deployment)),
    activate: ({ deployment }) => translated('Waking on AWS Lambda', () => wakeUp(parts, deployment)),
    undeploy: ({ deployment }) => translated('Removing from AWS Lambda', () => removeDeployment(parts, deployment.id)),
    shift: (target, canary) =>
      translated('Shifting traffic on AWS Lambda', async () => {
        const { deployment } = target
        const name = functionName(parts.stage, deployment.id)
        const wanted = aliasFor(await listVersions(parts, name), deployment.revision, canary)
        const seen = await readAlias(parts, name)
        if (seen === undefined) throw new PlatformError('deployment_unavailable', `Deployment ${deployment.id} is not up`)
        if (!sameAlias(seen, wanted)) await pointAlias(parts, name, wanted, seen)
        return deployment.deployer_state
      }),
    reconcile: (target) => translated('Reconciling with AWS Lambda', () => reconcileDeployment(parts, target)),
    sweep: (isLive) => translated('Sweeping AWS Lambda', async () => (await removeUnwanted(parts, isLive)).removed),
  })
}

const statusOf = async (parts: LambdaParts, { deployment }: DeployTarget) => {
  const state = stateOf(deployment.deployer_state)
  const alias = await readAlias(parts, functionName(parts.stage, deployment.id))
  if (alias === undefined) return { ready: false, instances: 0, detail: 'there is no function' }
  const warm = await provisionedNow(parts, deployment.id)
  const notes = state?.notes ?? []
  const resting = warm === undefined ? ['no instance is kept warm; the next request starts one'] : []
  const failed = warm?.failed === undefined ? [] : [`AWS could not keep instances warm: ${warm.failed}`]
  const detail = [...failed, ...resting, ...notes].join('. ')
  return { ready: warm?.ready ?? true, instances: warm?.available ?? 0, ...(detail === '' ? {} : { detail }) }
}

/** Being stopped closes the address too; so does an update of a stopped one, which ends as it began. */
const isClosed = ({ status, transition }: Deployment): boolean =>
  status === 'stopped' || (status === 'updating' && transition?.from === 'stopped')

const putToSleep = async (parts: LambdaParts, deployment: Deployment): Promise<void> => {
  await endShares(parts, functionName(parts.stage, deployment.id))
  await releaseWarm(parts, deployment.id)
  if (isClosed(deployment)) await reserve(parts, deployment.id, 0)
}

const wakeUp = async (parts: LambdaParts, deployment: Deployment): Promise<void> => {
  const { id, scaling_policy } = deployment
  const alias = await readAlias(parts, functionName(parts.stage, id))
  if (alias === undefined) throw new PlatformError('deployment_unavailable', `Deployment ${id} has no function to wake`)
  const state = stateOf(deployment.deployer_state)
  await reserve(parts, id, state?.admission === 'platform' ? undefined : scaling_policy.max_instances)
  if (Object.keys(alias.weights).length === 0) await keepWarm(parts, id, scaling_policy)
}
