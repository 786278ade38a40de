import { CreateEndpointConfigCommand, type CreateEndpointConfigCommandInput } from '@aws-sdk/client-sagemaker'
import { awsCode, awsFailure } from '../../aws/failure.ts'
import type { Deployment } from '../../core/domain/deployment.ts'
import { asyncPrefix, configName, modelName, POOL_VARIANT, roleArn, tagList, variantOf } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import { isThere, isTooEarly, patiently } from './patience.ts'
import type { Plan } from './plan.ts'

/** A share of the requests for another revision, in percent. */
export interface Share {
  revision: number
  percent: number
}

type Content = Omit<CreateEndpointConfigCommandInput, 'EndpointConfigName' | 'Tags'>
type Owned = Pick<Deployment, 'id' | 'organization_id' | 'revision'>

/** What an endpoint of this plan consists of. With a share it has two variants, weighted. */
export const configContent = (
  parts: SagemakerParts,
  { id, revision }: Owned,
  plan: Plan,
  chosen: { instance_type: string | undefined; least?: number; share?: Share | undefined },
): Content => {
  const { share } = chosen
  if (plan.components) return poolContent(parts, id, plan, chosen)
  const variant = (of: number, weight: number, count: number) => ({
    VariantName: variantOf(of),
    ModelName: modelName(parts.stage, id, of),
    InitialVariantWeight: weight,
    ...(plan.mode === 'serverless'
      ? { ServerlessConfig: serverless(plan) }
      : { InstanceType: instance(chosen.instance_type), InitialInstanceCount: count }),
  })
  const variants = [variant(revision, share === undefined ? 1 : 100 - share.percent, Math.max(1, plan.min_instances))]
  if (share !== undefined) variants.push(variant(share.revision, share.percent, 1))
  return { ProductionVariants: variants, ...(plan.mode === 'async' ? { AsyncInferenceConfig: asynchronous(parts, id) } : {}) }
}

type Variant = NonNullable<Content['ProductionVariants']>[number]
const instance = (type: string | undefined): NonNullable<Variant['InstanceType']> => type as NonNullable<Variant['InstanceType']>

const serverless = ({ memory_mb, max_concurrency, provisioned }: Plan) => ({
  MemorySizeInMB: memory_mb,
  MaxConcurrency: max_concurrency,
  ...(provisioned > 0 ? { ProvisionedConcurrency: Math.min(provisioned, max_concurrency) } : {}),
})

const asynchronous = ({ bucket, kms_key_arn }: SagemakerParts, id: string) => ({
  OutputConfig: {
    S3OutputPath: `s3://${bucket}/${asyncPrefix(id)}results`,
    S3FailurePath: `s3://${bucket}/${asyncPrefix(id)}failures`,
    ...(kms_key_arn === undefined ? {} : { KmsKeyId: kms_key_arn }),
  },
})

/**
 * Instances that components are placed on. The role stands on the configuration, or the service refuses it; `MinInstanceCount` 0 is
 * refused in some regions, and managed scaling on endpoints without components everywhere.
 */
const poolContent = (
  parts: SagemakerParts,
  id: string,
  plan: Plan,
  { instance_type, least = plan.min_instances }: { instance_type: string | undefined; least?: number },
): Content => ({
  ExecutionRoleArn: roleArn(parts, id),
  ProductionVariants: [
    {
      VariantName: POOL_VARIANT,
      InstanceType: instance(instance_type),
      InitialInstanceCount: 1,
      ManagedInstanceScaling: { Status: 'ENABLED', MinInstanceCount: least, MaxInstanceCount: plan.max_instances },
      RoutingConfig: { RoutingStrategy: 'LEAST_OUTSTANDING_REQUESTS' },
    },
  ],
})

/** Makes the configuration unless it is there; its name says its content. */
export const ensureConfig = async (parts: SagemakerParts, deployment: Owned, content: Content): Promise<string> => {
  const EndpointConfigName = configName(parts.stage, deployment.id, content)
  const sagemaker = parts.clients.sagemaker()
  const wanted = { EndpointConfigName, ...content, Tags: tagList(parts.stage, deployment) }
  try {
    await patiently(parts, `Making ${EndpointConfigName}`, isTooEarly, () =>
      sagemaker.send(new CreateEndpointConfigCommand(wanted)),
    )
  } catch (error) {
    if (!isThere(error)) throw error
  }
  return EndpointConfigName
}

/** The region does not let a pool of components stand at zero. */
export const refusesZero = (error: unknown): boolean =>
  awsCode(error) === 'ValidationException' && error instanceof Error && /MinInstanceCount/i.test(error.message)

export const configFailure = (error: unknown, deployment_id: string) =>
  awsFailure(error, `Making the endpoint configuration of ${deployment_id}`)
