import { DescribeEndpointCommand, SageMakerClient } from '@aws-sdk/client-sagemaker'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Emulator, hasMoto, startMoto } from '../support/emulators.ts'
import { twoInputModel } from '../support/models.ts'
import { type SagemakerBench, sagemakerBench } from '../support/sagemaker-bench.ts'

const present = hasMoto()
if (!present) console.warn('left out: the SageMaker deployer on moto, which is not installed')

/** What moto does not do, so that nothing here claims it. */
export const misses = [
  { reason: 'it answers every invocation with the same bytes', tests: ['infer', 'async results'] },
  { reason: 'it knows no inference components', tests: ['scale to zero by components'] },
  { reason: 'it has no UpdateEndpoint', tests: ['a second revision', 'failed updates', 'canary'] },
]

describe.skipIf(!present)('SageMaker deployer on moto', () => {
  let moto: Emulator
  let bench: SagemakerBench
  beforeAll(async () => {
    moto = await startMoto()
    bench = sagemakerBench(moto.endpoint)
  })
  afterAll(async () => {
    bench.end()
    await moto.stop()
  })
  const exists = () =>
    new SageMakerClient({ endpoint: moto.endpoint, region: 'us-east-1', credentials: { accessKeyId: 't', secretAccessKey: 't' } })
      .send(new DescribeEndpointCommand({ EndpointName: 'aideploy-dev-s-1' }))
      .then(
        ({ EndpointStatus }) => EndpointStatus,
        () => 'gone',
      )

  it.each([
    ['serverless', {}],
    [
      'real_time',
      {
        metadata: { endpoint_mode: 'real_time' },
        scaling_policy: { min_instances: 1, max_instances: 2, target_cpu_utilization: 70 },
      },
    ],
  ])('%s: deploys, sleeps, wakes and leaves nothing', async (_, spec) => {
    const target = bench.target(twoInputModel(), null, spec)
    const deployer_state = await bench.deployer.deploy(target)
    const up = { ...target, deployment: { ...target.deployment, deployer_state } }
    expect(await exists()).toBe('InService')
    await bench.deployer.hibernate(up)
    expect(await exists()).toBe('gone')
    await bench.deployer.activate(up)
    expect(await exists()).toBe('InService')
    await bench.deployer.deploy(up)
    expect(await bench.deployer.sweep?.(async () => true)).toEqual([])
    await bench.deployer.undeploy(up)
    expect(await bench.deployer.sweep?.(async () => false)).toEqual([])
    expect(await exists()).toBe('gone')
  })
})
