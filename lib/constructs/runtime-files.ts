import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Size, Stack } from 'aws-cdk-lib'
import { Code, type FunctionProps, type ILayerVersion, LayerVersion } from 'aws-cdk-lib/aws-lambda'
import { Asset } from 'aws-cdk-lib/aws-s3-assets'
import { StringParameter } from 'aws-cdk-lib/aws-ssm'
import type { Construct } from 'constructs'
import { names } from '../names.ts'
import type { Parts } from '../parts.ts'
import { processingRoleArn } from '../targets.ts'
import type { Unit } from '../units.ts'

/** Folders below the bundles that are published apart from the functions' own code. */
export const publishedApart = ['runtime', 'processing', 'layer-arm64', 'layer-x64'] as const

/** One construct per stack, however many functions ask for it. */
const oncePerStack = <Made>(make: (stack: Stack, parts: Parts) => Made): ((scope: Construct, parts: Parts) => Made) => {
  const made = new WeakMap<Stack, Made>()
  return (scope, parts) => {
    const stack = Stack.of(scope)
    const known = made.get(stack) ?? make(stack, parts)
    made.set(stack, known)
    return known
  }
}

/**
 * ARN of the published onnxruntime layer. It changes with every new version, and an export that is in use cannot change, so it is
 * read from a parameter of the account at deploy time.
 */
export const layerArn = (scope: Construct, { stage }: Parts, architecture: 'arm64' | 'x64'): string =>
  StringParameter.valueForStringParameter(scope, names(stage).parameter(`layer-${architecture}`))

/** Disk and runtime layer of a function of the platform. */
export const runtimeLayer = (scope: Construct, unit: Unit, parts: Parts): Partial<FunctionProps> => ({
  ...(unit.ephemeral_mb > 512 && { ephemeralStorageSize: Size.mebibytes(unit.ephemeral_mb) }),
  ...(unit.onnxruntime && { layers: [platformLayer(scope, parts)] }),
})

const platformLayer = oncePerStack(
  (stack, parts): ILayerVersion => LayerVersion.fromLayerVersionArn(stack, 'onnxruntime', layerArn(stack, parts, 'arm64')),
)

/** Where the code of the model function lies: an object of the account's asset bucket, named after its content. */
const runtimeCode = oncePerStack(
  (stack, { bundles = '' }) => new Asset(stack, 'model-runtime', { path: join(bundles, 'runtime') }),
)

/** Lambda fetches a function's code with the rights of whoever makes the function. */
export const runtimeCodeArn = (scope: Construct, parts: Parts): string => {
  const { s3BucketName, s3ObjectKey } = runtimeCode(scope, parts)
  return `arn:${Stack.of(scope).partition}:s3:::${s3BucketName}/${s3ObjectKey}`
}

const processingProgram = oncePerStack(
  (stack, { bundles = '' }) => new Asset(stack, 'processing-program', { path: join(bundles, 'processing') }),
)

/** What a step that starts processing and training jobs is told: the role it passes, where the program lies as a zip file. */
export const processingEnvironment = (scope: Construct, parts: Parts): Record<string, string> => {
  const { stage, bundles = '' } = parts
  const program = existsSync(join(bundles, 'processing')) ? processingProgram(scope, parts) : undefined
  return {
    AIDEPLOY_PROCESSING_ROLE_ARN: processingRoleArn(scope, stage),
    ...(!stage.trainingSpot && { AIDEPLOY_TRAINING_SPOT: 'false' }),
    ...(program && { AIDEPLOY_PROCESSING_BUCKET: program.s3BucketName, AIDEPLOY_PROCESSING_KEY: program.s3ObjectKey }),
  }
}

/** What a function that drives deployments is told. */
export const deployerEnvironment = (scope: Construct, parts: Parts): Record<string, string> => {
  const { partition, account } = Stack.of(scope)
  const { stage, bundles } = parts
  const boundary = `arn:${partition}:iam::${account}:policy${names(stage).rolePath}${names(stage).boundary}`
  if (bundles === undefined || !existsSync(join(bundles, 'runtime')))
    throw new Error(`The bundle of the model function is missing below ${bundles}; run "npm run build" first`)
  const code = runtimeCode(scope, parts)
  return {
    AIDEPLOY_BOUNDARY_ARN: boundary,
    AIDEPLOY_RUNTIME_BUCKET: code.s3BucketName,
    AIDEPLOY_RUNTIME_KEY: code.s3ObjectKey,
    AIDEPLOY_RUNTIME_VERSION: code.assetHash,
    AIDEPLOY_RUNTIME_LAYER_ARM64: layerArn(scope, parts, 'arm64'),
    AIDEPLOY_RUNTIME_LAYER_X64: layerArn(scope, parts, 'x64'),
    AIDEPLOY_LOG_RETENTION_DAYS: String(stage.logRetentionDays),
    AIDEPLOY_ROLLOUT_SECONDS: String(stage.rolloutSeconds),
    ...(parts.data.key !== undefined && { AIDEPLOY_DATA_KEY_ARN: parts.data.key.keyArn }),
  }
}

/** The layers themselves, and the parameters that name them; made in one stack. */
export const publishLayers = (scope: Construct, { stage, bundles }: Parts): void => {
  for (const architecture of ['arm64', 'x64'] as const) {
    const layer = new LayerVersion(scope, `layer-${architecture}`, {
      layerVersionName: names(stage).functionName(`onnxruntime-${architecture}`),
      description: 'onnxruntime-node for one platform',
      code: Code.fromAsset(join(bundles ?? '', `layer-${architecture}`)),
    })
    new StringParameter(scope, `layer-${architecture}-arn`, {
      parameterName: names(stage).parameter(`layer-${architecture}`),
      stringValue: layer.layerVersionArn,
      description: 'The onnxruntime layer in force',
    })
  }
}
