import {
  CreateInferenceComponentCommand,
  DeleteInferenceComponentCommand,
  DescribeInferenceComponentCommand,
  paginateListInferenceComponents,
} from '@aws-sdk/client-sagemaker'
import { awsFailure } from '../../aws/failure.ts'
import { PlatformError } from '../../core/contract/errors.ts'
import { cpuCores, memoryBytes } from '../../core/domain/memory-size.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import { ensureGroup } from './log-group.ts'
import { componentLogGroup, endpointName, modelName, POOL_VARIANT, tagList } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import { isAbsent, isBusy, isThere, orAbsent, patiently, until } from './patience.ts'
import type { Plan } from './plan.ts'
import { removeScaling } from './scaling.ts'

/**
 * The component of a revision on its endpoint, in service. It is made with one copy, since none is refused: bringing one up always
 * costs an instance for a while.
 */
export const ensureComponent = async (parts: SagemakerParts, { deployment }: DeployTarget, plan: Plan): Promise<string> => {
  const sagemaker = parts.clients.sagemaker()
  const { stage } = parts
  const name = modelName(stage, deployment.id, deployment.revision)
  const { cpu, memory } = deployment.resource_requirements
  const wanted = {
    InferenceComponentName: name,
    EndpointName: endpointName(stage, deployment.id),
    VariantName: POOL_VARIANT,
    Specification: {
      ModelName: name,
      ComputeResourceRequirements: {
        MinMemoryRequiredInMb: Math.max(128, Math.ceil(memoryBytes(memory) / 2 ** 20)),
        NumberOfCpuCoresRequired: Math.max(0.25, cpuCores(cpu)),
        ...(plan.gpu ? { NumberOfAcceleratorDevicesRequired: 1 } : {}),
      },
    },
    RuntimeConfig: { CopyCount: 1 },
    Tags: tagList(stage, deployment),
  }
  await ensureGroup(parts, componentLogGroup(name))
  try {
    if ((await describe(parts, name)) === undefined)
      await patiently(
        parts,
        `Component ${name}`,
        (error) => isBusy(error) && !isThere(error),
        () => sagemaker.send(new CreateInferenceComponentCommand(wanted)),
      )
  } catch (error) {
    if (!isThere(error)) throw awsFailure(error, `Making component ${name}`)
  }
  const up = await until(parts, `Component ${name}`, async () => {
    const found = await describe(parts, name)
    return found?.InferenceComponentStatus === 'InService' || found?.InferenceComponentStatus === 'Failed' ? found : undefined
  })
  if (up.InferenceComponentStatus === 'Failed') {
    await removeComponents(parts, deployment.id, (other) => other !== name)
    throw new PlatformError('model_error', `The component did not come up: ${up.FailureReason ?? 'AWS gave no reason'}`)
  }
  return name
}

const describe = ({ clients }: SagemakerParts, InferenceComponentName: string) =>
  orAbsent(clients.sagemaker().send(new DescribeInferenceComponentCommand({ InferenceComponentName })), 'Reading the component')

/** All of a deployment's but those to keep; waits until they are gone, since their endpoint cannot go before. Answers their names. */
export const removeComponents = async (
  parts: SagemakerParts,
  deployment_id: string,
  kept: (name: string) => boolean = () => false,
): Promise<string[]> => {
  const client = parts.clients.sagemaker()
  const of = { EndpointNameEquals: endpointName(parts.stage, deployment_id) }
  const names: string[] = []
  try {
    for await (const page of paginateListInferenceComponents({ client }, of))
      names.push(...(page.InferenceComponents ?? []).flatMap(({ InferenceComponentName }) => InferenceComponentName ?? []))
  } catch (error) {
    if (isAbsent(error)) return []
    throw awsFailure(error, 'Listing components')
  }
  const gone = names.filter((name) => !kept(name))
  for (const InferenceComponentName of gone) {
    // First: once the component is gone nothing tells any more that it was scaled.
    const revision = Number(/-r(\d+)$/.exec(InferenceComponentName)?.[1] ?? 0)
    await removeScaling(parts, { id: deployment_id, organization_id: '', revision }, true)
    await until(parts, `Removal of component ${InferenceComponentName}`, async () => {
      const found = await describe(parts, InferenceComponentName)
      if (found === undefined) return true
      if (found.InferenceComponentStatus === 'Deleting') return undefined
      await client.send(new DeleteInferenceComponentCommand({ InferenceComponentName })).catch((error: unknown) => {
        if (!isAbsent(error) && !isBusy(error)) throw awsFailure(error, 'Removing a component')
      })
      return undefined
    })
  }
  return gone
}
