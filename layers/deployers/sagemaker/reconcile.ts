import { DescribeModelCommand } from '@aws-sdk/client-sagemaker'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import { bringUp } from './bring-up.ts'
import { describeEndpoint, ensureEndpoint } from './endpoint.ts'
import { ensureLogGroup } from './log-group.ts'
import type { SagemakerParts } from './parts.ts'
import { orAbsent } from './patience.ts'
import { planOf } from './plan.ts'
import { ensureRole } from './role.ts'
import { ensureScaling } from './scaling.ts'
import { configInForce, stateOf } from './state.ts'

/** Nothing is made where the model is gone too: it may be gone on purpose, before the platform goes, and an endpoint costs by the hour. */
const lacksModel = async ({ clients }: SagemakerParts, ModelName: string): Promise<boolean> =>
  (await orAbsent(clients.sagemaker().send(new DescribeModelCommand({ ModelName })), 'Reading the model')) === undefined

/** Role, endpoint, scaling and alarms as they should be; answers what was not. A deployment with a canary keeps its two variants. */
export const reconcileDeployment = async (parts: SagemakerParts, target: DeployTarget): Promise<string[]> => {
  const { deployment } = target
  const state = stateOf(deployment)
  if (deployment.status !== 'active' || deployment.transition !== null || state === undefined) return []
  const found = await describeEndpoint(parts, deployment.id)
  if (found === undefined && (await lacksModel(parts, state.model_name)))
    return ['endpoint and model are gone: only a new revision brings the deployment up again']
  const { repaired } = await ensureRole(parts, deployment)
  await ensureLogGroup(parts, deployment.id)
  const drifted =
    found === undefined || found.EndpointStatus === 'Failed' || found.EndpointConfigName !== configInForce(state, deployment)
  // Between two states somebody is at work on it.
  if (drifted && (found === undefined || /^(InService|Failed)$/.test(found.EndpointStatus ?? ''))) {
    if (deployment.canary && found === undefined) {
      await ensureEndpoint(parts, deployment, configInForce(state, deployment), { guarded: false })
      await ensureScaling(parts, deployment, planOf(deployment, parts.prices))
    } else await bringUp(parts, target)
    return [...repaired, `endpoint ${state.endpoint_name} (it was ${found?.EndpointStatus ?? 'gone'})`]
  }
  return [...repaired, ...(await ensureScaling(parts, deployment, planOf(deployment, parts.prices)))]
}
