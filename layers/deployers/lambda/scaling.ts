import {
  DeregisterScalableTargetCommand,
  DescribeScalableTargetsCommand,
  DescribeScalingPoliciesCommand,
  PutScalingPolicyCommand,
  RegisterScalableTargetCommand,
} from '@aws-sdk/client-application-auto-scaling'
import {
  DeleteFunctionConcurrencyCommand,
  DeleteProvisionedConcurrencyConfigCommand,
  GetAccountSettingsCommand,
  GetFunctionConcurrencyCommand,
  GetProvisionedConcurrencyConfigCommand,
  PutFunctionConcurrencyCommand,
  PutProvisionedConcurrencyConfigCommand,
} from '@aws-sdk/client-lambda'
import { awsCode } from '../../aws/failure.ts'
import { PlatformError } from '../../core/contract/errors.ts'
import type { ScalingPolicy } from '../../core/domain/deployment.ts'
import { functionName, LIVE, scalableId } from './names.ts'
import type { LambdaParts, RemovalParts } from './parts.ts'
import { orAbsent, until, whenFree } from './patience.ts'

/** Lambda keeps this much of the account's concurrency free for functions without a reservation. */
const keptFree = 100
const warmLimit_ms = 300_000
const policyName = 'utilization'
const scalable = { ServiceNamespace: 'lambda', ScalableDimension: 'lambda:function:ProvisionedConcurrency' } as const

type Named = Pick<RemovalParts, 'lambda' | 'stage' | 'pause'>

/** Undefined: nothing is reserved, or there is no function. */
export const reservedNow = async (parts: Named, FunctionName: string): Promise<number | undefined> =>
  (await orAbsent(parts.lambda().send(new GetFunctionConcurrencyCommand({ FunctionName }))))?.ReservedConcurrentExecutions

/** Whether the account has room to reserve `max_instances` for this function. */
export const canReserve = async (parts: Named, deployment_id: string, max_instances: number): Promise<boolean> => {
  const { AccountLimit } = await parts.lambda().send(new GetAccountSettingsCommand({}))
  const own = (await reservedNow(parts, functionName(parts.stage, deployment_id))) ?? 0
  return (AccountLimit?.UnreservedConcurrentExecutions ?? 0) + own - max_instances >= keptFree
}

/**
 * Reserves concurrency, or gives the reservation back (undefined). 0 closes the function. False when the account has no room: then
 * nothing is reserved, because what stood before may be the 0 of a stopped one, which would stay closed.
 */
export const reserve = async (parts: Named, deployment_id: string, wanted: number | undefined): Promise<boolean> => {
  const FunctionName = functionName(parts.stage, deployment_id)
  if ((await reservedNow(parts, FunctionName)) === wanted) return true
  if (wanted === undefined) {
    await whenFree(parts, () => orAbsent(parts.lambda().send(new DeleteFunctionConcurrencyCommand({ FunctionName }))))
    return true
  }
  try {
    const command = new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: wanted })
    await whenFree(parts, () => parts.lambda().send(command))
    return true
  } catch (error) {
    if (awsCode(error) === 'ResourceNotFoundException' && wanted === 0) return true
    if (awsCode(error) !== 'InvalidParameterValueException') throw error
    await reserve(parts, deployment_id, undefined)
    return false
  }
}

export interface Warm {
  requested: number
  available: number
  ready: boolean
  /** Why AWS gave up. */
  failed?: string
}

export const provisionedNow = async (parts: Named, deployment_id: string): Promise<Warm | undefined> => {
  const target = { FunctionName: functionName(parts.stage, deployment_id), Qualifier: LIVE }
  const found = await orAbsent(parts.lambda().send(new GetProvisionedConcurrencyConfigCommand(target)))
  if (found === undefined) return undefined
  return {
    ...(found.Status === 'FAILED' ? { failed: found.StatusReason ?? 'no reason given' } : {}),
    requested: found.RequestedProvisionedConcurrentExecutions ?? 0,
    available: found.AvailableProvisionedConcurrentExecutions ?? 0,
    ready: found.Status === 'READY',
  }
}

/**
 * Keeps `min_instances` warm and lets AWS add more between them and `max_instances` by their use. Not possible while the alias has
 * shares. Fails with `unavailable_here` where the account's quota has no room for them.
 */
export const keepWarm = async (parts: LambdaParts, deployment_id: string, policy: ScalingPolicy): Promise<void> => {
  if (policy.min_instances === 0) return releaseWarm(parts, deployment_id)
  const target = { FunctionName: functionName(parts.stage, deployment_id), Qualifier: LIVE }
  const before = await provisionedNow(parts, deployment_id)
  const enough = before !== undefined && before.requested >= policy.min_instances && before.failed === undefined
  if (!enough) await putProvisioned(parts, target, policy.min_instances)
  await until(parts, `Keeping ${policy.min_instances} instances of ${deployment_id} warm`, warmLimit_ms, async () => {
    const warm = await provisionedNow(parts, deployment_id)
    if (warm?.failed === undefined) return warm?.ready ? true : undefined
    const detail = `AWS could not keep instances warm: ${warm.failed}`
    throw new PlatformError('unavailable', detail, { retry_after_s: 60 })
  })
  await scaleBetween(parts, deployment_id, policy)
}

const putProvisioned = async (parts: LambdaParts, target: { FunctionName: string; Qualifier: string }, instances: number) => {
  try {
    const command = new PutProvisionedConcurrencyConfigCommand({ ...target, ProvisionedConcurrentExecutions: instances })
    await whenFree(parts, () => parts.lambda().send(command))
  } catch (error) {
    if (awsCode(error) !== 'InvalidParameterValueException') throw error
    throw new PlatformError(
      'unavailable_here',
      `min_instances: the account has no room for ${instances} warm instances; raise the quota "Concurrent executions" of AWS Lambda or ask for fewer`,
      { cause: error },
    )
  }
}

/** Target tracking takes 10 to 90 %. */
export const utilizationTarget = (percent: number): number => Math.min(0.9, Math.max(0.1, percent / 100))

const scaleBetween = async (parts: LambdaParts, deployment_id: string, policy: ScalingPolicy): Promise<void> => {
  const target = { ...scalable, ResourceId: scalableId(parts.stage, deployment_id) }
  await parts
    .scaling()
    .send(new RegisterScalableTargetCommand({ ...target, MinCapacity: policy.min_instances, MaxCapacity: policy.max_instances }))
  await parts.scaling().send(
    new PutScalingPolicyCommand({
      ...target,
      PolicyName: policyName,
      PolicyType: 'TargetTrackingScaling',
      TargetTrackingScalingPolicyConfiguration: {
        TargetValue: utilizationTarget(policy.target_cpu_utilization),
        PredefinedMetricSpecification: { PredefinedMetricType: 'LambdaProvisionedConcurrencyUtilization' },
      },
    }),
  )
}

const registered = async (parts: Pick<RemovalParts, 'scaling' | 'stage'>, deployment_id: string) => {
  const ResourceIds = [scalableId(parts.stage, deployment_id)]
  const found = await parts.scaling().send(new DescribeScalableTargetsCommand({ ...scalable, ResourceIds }))
  return found.ScalableTargets?.[0]
}

/** What scaling has been set to; undefined when nothing is. */
export const scaledBetween = async (parts: Pick<RemovalParts, 'scaling' | 'stage'>, deployment_id: string) => {
  const { ServiceNamespace, ScalableDimension } = scalable
  const ResourceId = scalableId(parts.stage, deployment_id)
  const target = await registered(parts, deployment_id)
  const { ScalingPolicies = [] } = await parts
    .scaling()
    .send(new DescribeScalingPoliciesCommand({ ServiceNamespace, ScalableDimension, ResourceId }))
  const tracked = ScalingPolicies[0]?.TargetTrackingScalingPolicyConfiguration?.TargetValue
  return target && { min: target.MinCapacity, max: target.MaxCapacity, utilization: tracked }
}

/** Nothing is kept warm any more; what AWS adds by itself goes first (with its policy), or it would come back. */
export const releaseWarm = async (
  parts: Pick<RemovalParts, 'lambda' | 'scaling' | 'stage' | 'pause'>,
  deployment_id: string,
): Promise<void> => {
  const target = { ...scalable, ResourceId: scalableId(parts.stage, deployment_id) }
  if (await registered(parts, deployment_id)) await orAbsent(parts.scaling().send(new DeregisterScalableTargetCommand(target)))
  const config = { FunctionName: functionName(parts.stage, deployment_id), Qualifier: LIVE }
  await whenFree(parts, () => orAbsent(parts.lambda().send(new DeleteProvisionedConcurrencyConfigCommand(config))))
}
