import { createHash } from 'node:crypto'
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling'
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch'
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs'
import { IAMClient } from '@aws-sdk/client-iam'
import { LambdaClient } from '@aws-sdk/client-lambda'
import { ResourceGroupsTaggingAPIClient } from '@aws-sdk/client-resource-groups-tagging-api'
import { diskArtifacts } from '../../layers/artifacts/disk.ts'
import type { Deployment } from '../../layers/core/domain/deployment.ts'
import type { Artifacts } from '../../layers/core/ports/artifacts.ts'
import type { Deployer, DeployTarget, InferenceRequest } from '../../layers/core/ports/deployer.ts'
import type { LambdaParts } from '../../layers/deployers/lambda/parts.ts'
import { lambdaDeployer } from '../../layers/deployers/lambda.ts'
import { deployTarget, silentLog } from './deployments.ts'
import { identityModel, writeModel } from './models.ts'

export const layer = 'arn:aws:lambda:us-east-1:123456789012:layer:aideploy-test-onnxruntime-arm64:1'
export const runtimeCode = { bucket: 'assets', key: 'runtime.zip' }
const boundary = 'arn:aws:iam::123456789012:policy/aideploy/test-boundary'

export interface LambdaBench {
  dir: string
  parts: LambdaParts
  deployer: Deployer
  artifacts: Artifacts
  /** A deployment as the platform would hand it over; `deployment` members replace. */
  target(changes?: Partial<Deployment>): Promise<DeployTarget>
  end(): void
}

const attempt = (count: number) => ({ getRetryCount: () => count, getRetryDelay: () => 0 })

/** The SDK's rules of what to repeat, without its waiting. */
const repeating = (attempts: number) => ({
  acquireInitialRetryToken: async () => attempt(0),
  refreshRetryTokenForRetry: async (
    token: { getRetryCount(): number },
    { errorType, error }: { errorType: string; error?: unknown },
  ) => {
    if (errorType === 'CLIENT_ERROR' || token.getRetryCount() + 1 >= attempts) throw error
    return attempt(token.getRetryCount() + 1)
  },
  recordSuccess: () => undefined,
})

/** The Lambda deployer against a cloud on loopback, with artifacts on disk. Waiting takes no time unless told. */
export const lambdaBench = (endpoint: string, changes: Partial<LambdaParts> = {}, attempts = 1): LambdaBench => {
  const dir = mkdtempSync(join(tmpdir(), 'aideploy-lambda-'))
  const settings = {
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    retryStrategy: repeating(attempts),
  }
  const artifacts = diskArtifacts({
    root: join(dir, 'artifacts'),
    now: () => new Date(),
    sign_key: Buffer.alloc(32),
    public_url: () => 'http://127.0.0.1',
  })
  const parts: LambdaParts = {
    lambda: () => new LambdaClient(settings),
    invoker: () => new LambdaClient({ ...settings, retryStrategy: repeating(1) }),
    iam: () => new IAMClient(settings),
    logs: () => new CloudWatchLogsClient(settings),
    scaling: () => new ApplicationAutoScalingClient(settings),
    tagging: () => new ResourceGroupsTaggingAPIClient(settings),
    cloudwatch: () => new CloudWatchClient(settings),
    artifacts,
    stage: 'test',
    region: 'us-east-1',
    account: '123456789012',
    partition: 'aws',
    bucket: 'aideploy-artifacts',
    table: 'aideploy-test-records',
    runtime: { code: runtimeCode, layer_arns: { arm64: layer }, version: 'r1' },
    boundary_arn: boundary,
    execution_environment: { AIDEPLOY_USER_POOL_ID: 'us-east-1_pool' },
    cors_origins: ['https://app.example.org'],
    log_retention_days: 14,
    scratch_dir: join(dir, 'scratch'),
    writeServingForm: async (model_path, out_dir) => {
      copyFileSync(model_path, join(out_dir, 'model.onnx'))
      return { model_path: join(out_dir, 'model.onnx'), files: [join(out_dir, 'model.onnx')] }
    },
    log: silentLog,
    now: () => new Date(),
    pause: async () => undefined,
    ...changes,
  }
  const path = writeModel(join(dir, 'model.onnx'), identityModel('FP32', ['n']))
  const bytes = readFileSync(path)
  let stored: Promise<unknown> | undefined
  const store = () => (stored ??= artifacts.put('models/m.onnx', Readable.from([bytes])))
  return {
    dir,
    parts,
    artifacts,
    deployer: lambdaDeployer(parts),
    target: async (deployment = {}) => {
      await store()
      const made = deployTarget(path)
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      return {
        deployment: { ...made.deployment, metadata: { rollout_seconds: 0 }, ...deployment },
        model: { ...made.model, artifact: 'models/m.onnx', sha256 },
      }
    },
    end: () => rmSync(dir, { recursive: true, force: true }),
  }
}

/** What a deployment has become after a verb that answers what to remember. */
export const remembered = (target: DeployTarget, deployer_state: Deployment['deployer_state']): DeployTarget => ({
  ...target,
  deployment: { ...target.deployment, deployer_state, endpoint: String(deployer_state.endpoint) },
})

export const request = (body: Uint8Array, path = '/v2/models/m/infer'): InferenceRequest => ({
  method: 'POST',
  path,
  headers: { 'content-type': 'application/json' },
  body,
  request_id: 'req_1',
})

export const inferText = async (deployer: Deployer, target: DeployTarget, text: string) => {
  const reply = await deployer.infer(target, request(Buffer.from(text)))
  const body = reply.body instanceof Uint8Array ? reply.body : await buffer(reply.body)
  return { ...reply, text: Buffer.from(body).toString() }
}
