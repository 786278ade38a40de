import {
  GetAliasCommand,
  GetFunctionConfigurationCommand,
  LambdaClient,
  ListFunctionsCommand,
  PublishLayerVersionCommand,
} from '@aws-sdk/client-lambda'
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stateOf } from '../../layers/deployers/lambda/state.ts'
import { hasMoto, s3Client, startMoto } from '../support/emulators.ts'
import { type LambdaBench, lambdaBench, remembered, runtimeCode } from '../support/lambda-bench.ts'
import { type Forwarder, forwardTo, type Miss } from '../support/moto-lambda.ts'

/** What moto does not serve of what a deployment needs; all else of these tests is moto's. */
const misses: readonly Miss[] = [
  {
    reason: 'moto has no account settings',
    calls: /account-settings/,
    status: 200,
    answer: { AccountLimit: { ConcurrentExecutions: 1000, UnreservedConcurrentExecutions: 1000 } },
  },
  {
    reason: 'moto has no provisioned concurrency',
    calls: /provisioned-concurrency/,
    status: 404,
    answer: { Message: 'No Provisioned Concurrency Config found for this function', Type: 'User' },
    error: 'ProvisionedConcurrencyConfigNotFoundException',
  },
  { reason: 'moto runs functions in Docker only', calls: /\/invocations/, status: 200, answer: { ready: true, revision: 1 } },
]

const suite = (): void => {
  let moto: Forwarder
  let bench: LambdaBench
  let lambda: LambdaClient
  beforeAll(async () => {
    moto = await forwardTo(await startMoto(), misses)
    lambda = new LambdaClient({
      endpoint: moto.endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    })
    const s3 = s3Client(moto.endpoint)
    await s3.send(new CreateBucketCommand({ Bucket: runtimeCode.bucket }))
    await s3.send(new PutObjectCommand({ Bucket: runtimeCode.bucket, Key: runtimeCode.key, Body: Buffer.from('zip') }))
    const { LayerVersionArn = '' } = await lambda.send(
      new PublishLayerVersionCommand({ LayerName: 'aideploy-test-onnxruntime-arm64', Content: { ZipFile: Buffer.from('zip') } }),
    )
    bench = lambdaBench(
      moto.endpoint,
      { runtime: { code: runtimeCode, layer_arns: { arm64: LayerVersionArn }, version: 'r1' } },
      3,
    )
  })
  afterAll(async () => {
    bench.end()
    lambda.destroy()
    await moto.stop()
  })
  const FunctionName = 'aideploy-test-m-dep_1'

  it('a deployment comes up, is updated, repaired and taken away', async () => {
    const target = await bench.target()
    const first = remembered(target, await bench.deployer.deploy(target))
    const state = stateOf(first.deployment.deployer_state)
    expect(state?.endpoint).toMatch(/lambda-url\.us-east-1\.on\.aws$/)
    const made = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName }))
    expect(made).toMatchObject({ MemorySize: 1769, Timeout: 35, Runtime: 'nodejs24.x', Architectures: ['arm64'] })

    const second = await bench.target({ revision: 2 })
    const updated = remembered(second, await bench.deployer.deploy(second))
    expect(updated.deployment.deployer_state.endpoint).toBe(state?.endpoint)
    const alias = await lambda.send(new GetAliasCommand({ FunctionName, Name: 'live' }))
    expect(alias.FunctionVersion).toBe(stateOf(updated.deployment.deployer_state)?.version)
    expect(alias.FunctionVersion).not.toBe(state?.version)
    expect(await bench.deployer.status(updated)).toMatchObject({ ready: true })

    expect(await bench.deployer.reconcile?.(updated)).toEqual([])
    await bench.deployer.hibernate(updated)
    await bench.deployer.activate(updated)
    await bench.deployer.undeploy(updated)
    await bench.deployer.undeploy(updated)
    expect((await lambda.send(new ListFunctionsCommand({}))).Functions).toEqual([])
    const found: string[] = []
    await bench.deployer.sweep?.(async (id) => {
      found.push(id)
      return true
    })
    expect(found).toEqual([])
  })

  it('what is left of a deployment is found and swept', async () => {
    await bench.deployer.deploy(await bench.target({ id: 'dep_lost' }))
    expect(await bench.deployer.sweep?.(async () => false)).toEqual([
      expect.stringMatching(/^dep_lost: function, role, log group, files/),
    ])
    expect((await lambda.send(new ListFunctionsCommand({}))).Functions).toEqual([])
  })

  it('moto answered all but what it misses', () => {
    expect(new Set(misses.filter(({ calls }) => moto.stood_in.some((call) => calls.test(call))))).toEqual(new Set(misses))
    expect(moto.forwarded.length).toBeGreaterThan(60)
  })
}

describe('the Lambda deployer on moto', () => {
  if (hasMoto()) suite()
  else it.skip('left out: python3 has no moto', () => {})
})
