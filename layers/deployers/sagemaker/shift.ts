import { DescribeEndpointConfigCommand, UpdateEndpointWeightsAndCapacitiesCommand } from '@aws-sdk/client-sagemaker'
import { awsFailure } from '../../aws/failure.ts'
import { PlatformError } from '../../core/contract/errors.ts'
import { machines } from '../../core/domain/comparison.ts'
import type { Canary, Deployment } from '../../core/domain/deployment.ts'
import type { JsonObject } from '../../core/domain/json.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import { configOf, freeScaling } from './bring-up.ts'
import { describeEndpoint, ensureEndpoint } from './endpoint.ts'
import { canaryRefusal } from './face.ts'
import { ensureModel } from './model.ts'
import { roleArn, variantOf } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import { orAbsent } from './patience.ts'
import { planOf } from './plan.ts'
import { ensureScaling } from './scaling.ts'
import { stateOf } from './state.ts'

/**
 * Two variants of one endpoint and their weights. Where both are there already only the weights change, within seconds; else the
 * endpoint is updated, which takes minutes, and serves all the time.
 */
export const shiftRequests = async (
  parts: SagemakerParts,
  { deployment }: DeployTarget,
  canary: Canary | null,
  other: DeployTarget | undefined,
): Promise<JsonObject> => {
  const why = canary === null ? undefined : canaryRefusal(deployment)
  if (why !== undefined) throw new PlatformError('invalid_request', why)
  const state = stateOf(deployment)
  if (state === undefined) throw new PlatformError('deployment_unavailable', `Deployment ${deployment.id} was never up`)
  if (canary !== null && (await weighed(parts, deployment, canary))) return deployment.deployer_state
  const plan = planOf(deployment, parts.prices)
  if (canary !== null && other !== undefined)
    await ensureModel(parts, other, planOf(other.deployment, parts.prices), roleArn(parts, deployment.id))
  const type = machines.find(({ name }) => name === state.instance_type)
  const share = canary === null ? undefined : canary
  const { config_name } = await configOf(parts, deployment, plan, type, share)
  await freeScaling(parts, deployment, config_name)
  // Two variants are no new revision to be judged by an alarm: the share is the judgement.
  await ensureEndpoint(parts, deployment, config_name, { guarded: false })
  await ensureScaling(parts, deployment, plan)
  const { shifted_config_name: _, ...kept } = deployment.deployer_state
  return canary === null
    ? { ...kept, instance_count: plan.min_instances }
    : { ...kept, shifted_config_name: config_name, instance_count: plan.min_instances + 1 }
}

/** Sets the weights where the endpoint has exactly these two variants; false where it has not. */
const weighed = async (parts: SagemakerParts, { id, revision }: Deployment, canary: Canary): Promise<boolean> => {
  const sagemaker = parts.clients.sagemaker()
  const found = await describeEndpoint(parts, id)
  if (found?.EndpointStatus !== 'InService') return false
  const { EndpointConfigName, EndpointName } = found
  const doing = 'Shifting requests'
  const config = await orAbsent(sagemaker.send(new DescribeEndpointConfigCommand({ EndpointConfigName })), doing)
  const names = (config?.ProductionVariants ?? []).map(({ VariantName }) => VariantName)
  const wanted = [variantOf(revision), variantOf(canary.revision)]
  if (names.length !== 2 || !wanted.every((name) => names.includes(name))) return false
  const weights = [100 - canary.percent, canary.percent]
  const DesiredWeightsAndCapacities = wanted.map((VariantName, at) => ({ VariantName, DesiredWeight: weights[at] }))
  const same = wanted.every(
    (name, at) => found.ProductionVariants?.find(({ VariantName }) => VariantName === name)?.CurrentWeight === weights[at],
  )
  if (same) return true
  try {
    await sagemaker.send(new UpdateEndpointWeightsAndCapacitiesCommand({ EndpointName, DesiredWeightsAndCapacities }))
  } catch (error) {
    throw awsFailure(error, doing)
  }
  await ensureEndpoint(parts, { id, organization_id: '' }, EndpointConfigName ?? '', { guarded: false })
  return true
}
