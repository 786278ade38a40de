import {
  CreateEndpointCommand,
  DeleteEndpointCommand,
  DescribeEndpointCommand,
  type DescribeEndpointOutput,
  UpdateEndpointCommand,
} from '@aws-sdk/client-sagemaker'
import { awsCode, awsFailure } from '../../aws/failure.ts'
import { PlatformError } from '../../core/contract/errors.ts'
import type { Deployment } from '../../core/domain/deployment.ts'
import { alarmName, endpointName, tagList } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import { isAbsent, isBusy, isThere, orAbsent, patiently, until } from './patience.ts'

type Owned = Pick<Deployment, 'id' | 'organization_id'>

/** Room that AWS does not have just now, or does not give this account: another instance type may do. */
export const lacksRoom = (fault: unknown): boolean => fault instanceof PlatformError && fault.extras.facts?.lacks_room === true

const noRoom = (said: string, cause?: unknown): PlatformError =>
  new PlatformError('unavailable', `SageMaker has no room for this endpoint: ${said}`, { facts: { lacks_room: true }, cause })

const speaksOfRoom = /insufficient.*capacity|capacityerror|unable to provision|account-level service limit|resource limit/i

export const describeEndpoint = (
  { clients, stage }: SagemakerParts,
  deployment_id: string,
): Promise<DescribeEndpointOutput | undefined> =>
  orAbsent(
    clients.sagemaker().send(new DescribeEndpointCommand({ EndpointName: endpointName(stage, deployment_id) })),
    'Reading the endpoint',
  )

/** Neither between two states nor absent is something to wait for. */
const settled = new Set(['InService', 'Failed', 'OutOfService', 'UpdateRollbackFailed'])

/** The endpoint once it is between no two states; null when there is none. */
const whenSettled = (parts: SagemakerParts, deployment_id: string): Promise<DescribeEndpointOutput | null> =>
  until(parts, `Endpoint of ${deployment_id}`, async () => {
    const found = await describeEndpoint(parts, deployment_id)
    if (found === undefined) return null
    return settled.has(found.EndpointStatus ?? '') ? found : undefined
  })

/**
 * Brings the endpoint to a configuration, whatever state it is in, and waits until it serves. An update that fails leaves the endpoint
 * on its old configuration. Fails with `model_error` and AWS's reason, `unavailable` where there is no room, `work_pending`.
 */
export const ensureEndpoint = async (
  parts: SagemakerParts,
  deployment: Owned,
  config: string,
  update: { guarded: boolean },
): Promise<'made' | 'updated' | 'unchanged'> => {
  let found = await whenSettled(parts, deployment.id)
  if (found !== null && found.EndpointStatus !== 'InService') {
    // One that failed takes no update.
    await deleteEndpoint(parts, deployment.id)
    found = null
  }
  if (found?.EndpointConfigName === config) return 'unchanged'
  await order(parts, deployment, config, found === null, update.guarded)
  const now = await whenSettled(parts, deployment.id)
  if (now?.EndpointStatus === 'InService' && now.EndpointConfigName === config) return found === null ? 'made' : 'updated'
  const why = now?.FailureReason ?? 'AWS gave no reason'
  if (now?.EndpointStatus !== 'InService' && now !== null) await deleteEndpoint(parts, deployment.id)
  throw speaksOfRoom.test(why) ? noRoom(why) : new PlatformError('model_error', `The endpoint did not come up: ${why}`)
}

const order = async (
  parts: SagemakerParts,
  { id, organization_id }: Owned,
  config: string,
  is_new: boolean,
  guarded: boolean,
) => {
  const sagemaker = parts.clients.sagemaker()
  const named = { EndpointName: endpointName(parts.stage, id), EndpointConfigName: config }
  const alarms = { Alarms: [{ AlarmName: alarmName(parts.stage, id, 'errors') }] }
  const blue_green = {
    // Metrics come by the minute and some time late: the alarm needs more than one of them to tell.
    TrafficRoutingConfiguration: { Type: 'ALL_AT_ONCE', WaitIntervalInSeconds: 180 },
    TerminationWaitInSeconds: 0,
    MaximumExecutionTimeoutInSeconds: 1800,
  } as const
  const careful = { BlueGreenUpdatePolicy: blue_green, AutoRollbackConfiguration: alarms }
  try {
    await patiently(
      parts,
      'The endpoint',
      (error) => isBusy(error) && !isThere(error),
      () =>
        is_new
          ? sagemaker.send(new CreateEndpointCommand({ ...named, Tags: tagList(parts.stage, { id, organization_id }) }))
          : sagemaker.send(new UpdateEndpointCommand({ ...named, ...(guarded ? { DeploymentConfig: careful } : {}) })),
    )
  } catch (error) {
    if (isThere(error)) return
    const said = error instanceof Error ? error.message : ''
    if (awsCode(error) === 'ResourceLimitExceeded' || speaksOfRoom.test(said)) throw noRoom(said, error)
    throw awsFailure(error, `Making endpoint ${named.EndpointName}`)
  }
}

/** Waits until it is gone: a new one could not be made before. False when there was none. */
export const deleteEndpoint = async (parts: SagemakerParts, deployment_id: string): Promise<boolean> => {
  const EndpointName = endpointName(parts.stage, deployment_id)
  if ((await describeEndpoint(parts, deployment_id)) === undefined) return false
  await until(parts, `Removal of endpoint ${EndpointName}`, async () => {
    const found = await describeEndpoint(parts, deployment_id)
    if (found === undefined) return true
    if (found.EndpointStatus === 'Deleting') return undefined
    try {
      await parts.clients.sagemaker().send(new DeleteEndpointCommand({ EndpointName }))
    } catch (error) {
      if (!isAbsent(error) && !isBusy(error)) throw awsFailure(error, `Removing endpoint ${EndpointName}`)
    }
    return undefined
  })
  return true
}
