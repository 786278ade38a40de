import { createHash } from 'node:crypto'
import type { CreateFunctionCommandInput } from '@aws-sdk/client-lambda'
import { PlatformError } from '../../core/contract/errors.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import { functionName, logGroupName, tagsOf } from './names.ts'
import type { LambdaParts } from './parts.ts'
import type { Served } from './serving-files.ts'
import type { LambdaSize } from './settings.ts'

/** All of what one revision's function is made of. */
export interface WantedFunction {
  name: string
  /** `revision <n> <digest of the rest>`: how a version is found again. */
  description: string
  revision: number
  code: { S3Bucket: string; S3Key: string; S3ObjectVersion?: string }
  architectures: CreateFunctionCommandInput['Architectures']
  configuration: Pick<
    CreateFunctionCommandInput,
    'Runtime' | 'Handler' | 'Role' | 'MemorySize' | 'Timeout' | 'EphemeralStorage' | 'Layers' | 'Environment' | 'LoggingConfig'
  >
  tags: Record<string, string>
}

/** Lambda takes 4 kB, all names and values together. */
const mostEnvironment_bytes = 4_096

export const wantedFunction = (
  parts: LambdaParts,
  target: DeployTarget,
  made: { size: LambdaSize; served: Served; role_arn: string; keeps_admission: boolean },
): WantedFunction => {
  const { deployment } = target
  const { size, role_arn } = made
  const { bucket, key, version } = parts.runtime.code
  const layer = parts.runtime.layer_arns[size.architecture]
  if (layer === undefined)
    throw new PlatformError('unavailable_here', `The onnxruntime layer is not published here for ${size.architecture}`, {
      facts: { available: Object.keys(parts.runtime.layer_arns) },
    })
  const code = { S3Bucket: bucket, S3Key: key, ...(version === undefined ? {} : { S3ObjectVersion: version }) }
  const configuration = {
    Runtime: 'nodejs24.x',
    Handler: 'handler.handler',
    Role: role_arn,
    MemorySize: size.memory_mb,
    Timeout: size.timeout_s,
    EphemeralStorage: { Size: size.ephemeral_mb },
    Layers: [layer],
    Environment: { Variables: environmentOf(parts, target, made) },
    LoggingConfig: { LogFormat: 'JSON', LogGroup: logGroupName(parts.stage, deployment.id) },
  } as const satisfies WantedFunction['configuration']
  const architectures = [size.architecture]
  const digest = createHash('sha256').update(JSON.stringify([code, configuration, architectures, parts.runtime.version]))
  return {
    name: functionName(parts.stage, deployment.id),
    description: `revision ${deployment.revision} ${digest.digest('hex').slice(0, 16)}`,
    revision: deployment.revision,
    code,
    architectures,
    configuration: { ...configuration, Layers: [...configuration.Layers] },
    tags: tagsOf(parts.stage, deployment),
  }
}

/** The number of the revision a function or a version was made for; undefined when its description is not ours. */
export const revisionIn = (description: string | undefined): number | undefined => {
  const number = /^revision (\d+) [0-9a-f]{16}$/.exec(description ?? '')?.[1]
  return number === undefined ? undefined : Number(number)
}

const environmentOf = (
  parts: LambdaParts,
  { deployment }: DeployTarget,
  { size, served, keeps_admission }: { size: LambdaSize; served: Served; keeps_admission: boolean },
): Record<string, string> => {
  const { resource_requirements: wanted, scaling_policy } = deployment
  const variables = {
    ...parts.execution_environment,
    AIDEPLOY_STAGE: parts.stage,
    AIDEPLOY_TABLE: parts.table,
    AIDEPLOY_BUCKET: parts.bucket,
    AIDEPLOY_ORGANIZATION: deployment.organization_id,
    AIDEPLOY_DEPLOYMENT: deployment.id,
    AIDEPLOY_DEPLOYMENT_TYPE: deployment.deployment_type,
    AIDEPLOY_REVISION: String(deployment.revision),
    AIDEPLOY_ENDPOINT_AUTH: deployment.endpoint_auth,
    AIDEPLOY_MANIFEST_KEY: served.manifest_key,
    AIDEPLOY_MANIFEST_SHA256: served.manifest_sha256,
    AIDEPLOY_TIMEOUT_S: String(wanted.timeout),
    AIDEPLOY_MEMORY_LIMIT_BYTES: String(size.memory_mb * 2 ** 20),
    AIDEPLOY_EPHEMERAL_MB: String(size.ephemeral_mb),
    AIDEPLOY_THREADS: String(size.threads),
    ...(deployment.record_requests ? { AIDEPLOY_RECORD_REQUESTS: JSON.stringify(deployment.record_requests) } : {}),
    ...(keeps_admission ? { AIDEPLOY_MAX_INSTANCES: String(scaling_policy.max_instances) } : {}),
  }
  const size_bytes = Object.entries(variables).reduce((sum, [name, value]) => sum + Buffer.byteLength(name + value), 0)
  if (size_bytes > mostEnvironment_bytes)
    throw new PlatformError(
      'internal',
      `The function's environment has ${size_bytes} bytes, Lambda takes ${mostEnvironment_bytes}`,
    )
  return variables
}
