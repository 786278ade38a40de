import { clientSettings } from '../../aws/client-settings.ts'
import type { PriceBook } from '../../core/domain/price.ts'
import type { CompleteDeployer, Deployer } from '../../core/ports/deployer.ts'
import type { Log } from '../../core/ports/log.ts'
import { deployerRegistry } from '../../deployers/index.ts'
import { lambdaFace } from '../../deployers/lambda/face.ts'
import { sagemakerFace } from '../../deployers/sagemaker/face.ts'
import { lazyPort } from '../lazy-port.ts'
import { environment, wanted } from './environment.ts'
import { artifacts, now } from './stores.ts'

/** Where models are served. */

interface Told {
  log: Log
  prices: PriceBook
}

const place = () => ({
  stage: environment.AIDEPLOY_STAGE,
  region: environment.AWS_REGION,
  account: wanted('AIDEPLOY_ACCOUNT', 'deployers'),
  partition: environment.AIDEPLOY_PARTITION,
  bucket: environment.AIDEPLOY_BUCKET,
  table: environment.AIDEPLOY_TABLE,
})

/** Model functions prove their callers by themselves, so they are told whose tokens count. */
const passed_on = [
  'AIDEPLOY_USER_POOL_ID',
  'AIDEPLOY_USER_POOL_CLIENT_ID',
  'AIDEPLOY_USER_POOL_ISSUER',
  'AIDEPLOY_USER_POOL_JWKS_URI',
] as const
const executionEnvironment = (): Record<string, string> => ({
  ...Object.fromEntries(passed_on.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]]))),
  ...(environment.AIDEPLOY_OIDC_ISSUERS.length > 0 && {
    AIDEPLOY_OIDC_ISSUERS: JSON.stringify(environment.AIDEPLOY_OIDC_ISSUERS),
  }),
})

const lambda = ({ log }: Told): Deployer => {
  const load = async () => {
    const [{ lambdaDeployer }, sdk, { IAMClient }, { CloudWatchClient }, logs, scaling, tagging] = await Promise.all([
      import('../../deployers/lambda.ts'),
      import('@aws-sdk/client-lambda'),
      import('@aws-sdk/client-iam'),
      import('@aws-sdk/client-cloudwatch'),
      import('@aws-sdk/client-cloudwatch-logs'),
      import('@aws-sdk/client-application-auto-scaling'),
      import('@aws-sdk/client-resource-groups-tagging-api'),
    ])
    const { AIDEPLOY_RUNTIME_LAYER_ARM64: arm64, AIDEPLOY_RUNTIME_LAYER_X64: x86_64 } = environment
    return lambdaDeployer({
      ...place(),
      ...(environment.AIDEPLOY_DATA_KEY_ARN !== undefined && { key_arn: environment.AIDEPLOY_DATA_KEY_ARN }),
      lambda: () => new sdk.LambdaClient(clientSettings),
      invoker: () => new sdk.LambdaClient({ maxAttempts: 1, requestHandler: { connectionTimeout: 2_000 } }),
      iam: () => new IAMClient(clientSettings),
      cloudwatch: () => new CloudWatchClient(clientSettings),
      logs: () => new logs.CloudWatchLogsClient(clientSettings),
      scaling: () => new scaling.ApplicationAutoScalingClient(clientSettings),
      tagging: () => new tagging.ResourceGroupsTaggingAPIClient(clientSettings),
      artifacts,
      log,
      runtime: {
        code: {
          bucket: wanted('AIDEPLOY_RUNTIME_BUCKET', 'deployers'),
          key: wanted('AIDEPLOY_RUNTIME_KEY', 'deployers'),
        },
        layer_arns: { ...(arm64 !== undefined && { arm64 }), ...(x86_64 !== undefined && { x86_64 }) },
        version: wanted('AIDEPLOY_RUNTIME_VERSION', 'deployers'),
      },
      boundary_arn: wanted('AIDEPLOY_BOUNDARY_ARN', 'deployers'),
      execution_environment: executionEnvironment(),
      cors_origins: environment.AIDEPLOY_CORS_ORIGINS,
      log_retention_days: environment.AIDEPLOY_LOG_RETENTION_DAYS,
      rollout_s: environment.AIDEPLOY_ROLLOUT_SECONDS,
      scratch_dir: '/tmp',
      writeServingForm: async (model_path, out_dir) => {
        const { writeServingForm } = await import('../../onnx/serving-form.ts')
        return writeServingForm(model_path, out_dir)
      },
      now,
    })
  }
  return { ...lambdaFace, ...lazyPort<CompleteDeployer>(load, verbs) }
}

const sagemaker = ({ log, prices }: Told): Deployer => {
  const load = async () => {
    const [{ sagemakerDeployer }, sdk, runtime, { IAMClient }, { CloudWatchClient }, logs, scaling] = await Promise.all([
      import('../../deployers/sagemaker.ts'),
      import('@aws-sdk/client-sagemaker'),
      import('@aws-sdk/client-sagemaker-runtime'),
      import('@aws-sdk/client-iam'),
      import('@aws-sdk/client-cloudwatch'),
      import('@aws-sdk/client-cloudwatch-logs'),
      import('@aws-sdk/client-application-auto-scaling'),
    ])
    return sagemakerDeployer({
      ...place(),
      artifacts,
      log,
      prices,
      public_url: environment.AIDEPLOY_PUBLIC_URL,
      boundary_arn: wanted('AIDEPLOY_BOUNDARY_ARN', 'deployers'),
      log_retention_days: environment.AIDEPLOY_LOG_RETENTION_DAYS,
      ...(environment.AIDEPLOY_DATA_KEY_ARN !== undefined && { kms_key_arn: environment.AIDEPLOY_DATA_KEY_ARN }),
      clients: {
        sagemaker: () => new sdk.SageMakerClient(clientSettings),
        // An endpoint may take 60 s for one answer.
        runtime: () =>
          new runtime.SageMakerRuntimeClient({
            maxAttempts: 2,
            requestHandler: { connectionTimeout: 2_000, requestTimeout: 70_000 },
          }),
        iam: () => new IAMClient(clientSettings),
        scaling: () => new scaling.ApplicationAutoScalingClient(clientSettings),
        alarms: () => new CloudWatchClient(clientSettings),
        logs: () => new logs.CloudWatchLogsClient(clientSettings),
      },
    })
  }
  return { ...sagemakerFace, ...lazyPort<CompleteDeployer>(load, verbs) }
}

const verbs = ['deploy', 'status', 'infer', 'hibernate', 'activate', 'undeploy', 'shift', 'reconcile', 'sweep'] as const

/** The registry; what a type is and takes is known at once, its verbs bring their SDK clients along. */
export const deployers = (told: Told): ReadonlyMap<string, Deployer> => deployerRegistry([lambda(told), sagemaker(told)])
