import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SageMakerClient } from '@aws-sdk/client-sagemaker'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { JsonObject } from '../../layers/core/domain/json.ts'
import type { BuildOrder, Workbench } from '../../layers/core/ports/workbench.ts'
import type { ProcessingParts } from '../../layers/processing/job.ts'
import { processingWorkbench } from '../../layers/processing/workbench.ts'
import { memoryArtifacts } from '../support/sagemaker-bench.ts'
import { objects } from '../support/sagemaker-cloud/state.ts'
import { type SagemakerCloud, startSagemakerCloud } from '../support/sagemaker-cloud.ts'

/** Training that takes longer than a step, against a server with SageMaker's rules for training jobs. */

const order: BuildOrder = {
  optimizer: 'distillation',
  settings: { student: { kind: 'narrower', share: 0.5 }, budget_s: 7200 },
  original: 'models/org_1/mod_1/model.onnx',
  candidate: 'optimizations/org_1/opt_1/candidate-3.onnx',
  calibration: null,
  evaluation: 'datasets/org_1/dts_1/rows.npz',
}
const short: BuildOrder = { ...order, settings: { ...order.settings, budget_s: 20 } }

let dir: string
let cloud: SagemakerCloud
let store: ReturnType<typeof memoryArtifacts>
let here: string[]
let bench: Workbench
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'training-'))
  cloud = await startSagemakerCloud()
  store = memoryArtifacts(dir)
  store.kept.set(order.original, Buffer.alloc(5000))
  here = []
  bench = processingWorkbench(partsOf())
})
afterEach(async () => {
  await cloud.stop()
  rmSync(dir, { recursive: true, force: true })
})

const partsOf = (changes: Partial<ProcessingParts> = {}): ProcessingParts => ({
  local: {
    build: async ({ candidate }) => {
      here.push(candidate)
      return { size_bytes: 1, sha256: 'x', time_ms: 1, notes: [] }
    },
    measure: () => Promise.reject(new Error('nothing is measured here')),
  },
  client: () =>
    new SageMakerClient({
      endpoint: cloud.endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 't', secretAccessKey: 't' },
      maxAttempts: 1,
    }),
  artifacts: store.artifacts,
  ...{ bucket: 'bucket', stage: 'dev', role_arn: 'arn:aws:iam::123456789012:role/aideploy/p', image: 'image' },
  ...{ instance_type: 'ml.m5.2xlarge', runtime: { bucket: 'assets', key: 'runtime.zip' }, larger_than_bytes: 1_000_000 },
  ...changes,
})

const jobs = (): [string, JsonObject][] => [...cloud.state.training]
const lastJob = (): JsonObject => jobs().at(-1)?.[1] ?? {}
const ends = (change: JsonObject): void => void Object.assign(lastJob(), change)
const begun = (given: BuildOrder = order) =>
  expect(bench.build(given)).rejects.toMatchObject({ code: 'work_pending', extras: { retry_after_s: 30 } })
/** What the program in the container leaves in `/opt/ml/model`. */
const leaves = (outcome: object, candidate = Buffer.from('a student')): void => {
  const [name = ''] = jobs().at(-1) ?? []
  const output = String(Object(lastJob().OutputDataConfig).S3OutputPath).replace('s3://bucket/', '')
  const folder = `${output}/${name}/output/model`
  store.kept.set(`${folder}/result.json`, Buffer.from(JSON.stringify(outcome)))
  store.kept.set(`${folder}/candidate-3.onnx`, candidate)
}
const sha256 = createHash('sha256').update('a student').digest('hex')
const built = { size_bytes: 9, sha256, time_ms: 7_000_000, notes: ['Trained 9000 steps'] }

describe('training longer than a step', () => {
  it('is a Spot training job with checkpoints, no network, and every input as a channel', async () => {
    await begun()
    await begun()
    expect(jobs()).toHaveLength(1)
    const job = lastJob()
    const name = String(job.TrainingJobName)
    expect(name).toMatch(/^aideploy-dev-t-[0-9a-f]{12}-[0-9a-f]{12}-1$/)
    expect(name.length).toBeLessThanOrEqual(63)
    expect(job).toMatchObject({
      EnableManagedSpotTraining: true,
      EnableNetworkIsolation: true,
      StoppingCondition: { MaxRuntimeInSeconds: 7200 * 1.2 + 1800, MaxWaitTimeInSeconds: 7200 * 1.2 + 1800 + 10_800 },
      CheckpointConfig: { S3Uri: `s3://bucket/processing/${name.slice(0, -2)}/checkpoints`, LocalPath: '/opt/ml/checkpoints' },
      OutputDataConfig: { CompressionType: 'NONE' },
      AlgorithmSpecification: { ContainerEntrypoint: ['/bin/sh', '-c', expect.stringContaining('/entry.sh /opt/ml training')] },
    })
    const channels = objects(job.InputDataConfig).map(({ ChannelName, DataSource }) => [
      ChannelName,
      Object(Object(DataSource).S3DataSource).S3Uri,
    ])
    expect(channels).toEqual([
      ['order', `s3://bucket/processing/${name}/order.json`],
      ['runtime', 's3://assets/runtime.zip'],
      ['original', `s3://bucket/${order.original}`],
      ['evaluation', `s3://bucket/${order.evaluation}`],
    ])
    expect(JSON.parse(store.kept.get(`processing/${name}/order.json`)?.toString() ?? '')).toEqual({ kind: 'build', order })
    expect(here).toEqual([])
  })

  it('ends with its candidate in its place and what Spot saved in its notes, interrupted or not', async () => {
    await begun()
    ends({ SecondaryStatus: 'Interrupted' })
    await begun()
    leaves({ ok: true, result: built }, Buffer.from('a studenu'))
    ends({
      ...{
        TrainingJobStatus: 'Completed',
        SecondaryStatus: 'Completed',
        TrainingTimeInSeconds: 6000,
        BillableTimeInSeconds: 1800,
      },
      SecondaryStatusTransitions: [{ Status: 'Training' }, { Status: 'Interrupted' }, { Status: 'Training' }],
    })
    await expect(bench.build(order)).rejects.toMatchObject({ code: 'upload_incomplete' })
    leaves({ ok: true, result: built })
    const answer = await bench.build(order)
    expect(answer).toMatchObject({ size_bytes: 9, time_ms: 7_000_000 })
    expect(answer.notes).toEqual([
      'Trained 9000 steps',
      'Trained on Spot ml.m5.2xlarge for 6000 s, interrupted 1 time, billed 1800 s (70 % saved)',
    ])
    expect(store.kept.get(order.candidate)?.toString()).toBe('a student')
    expect(await bench.build(order)).toEqual(answer)
  })

  it('runs on demand from the same checkpoints when no Spot instance came', async () => {
    await begun()
    const checkpoints = Object(lastJob().CheckpointConfig).S3Uri
    ends({ TrainingJobStatus: 'Stopped', SecondaryStatus: 'MaxWaitTimeExceeded' })
    await begun()
    expect(jobs().map(([name]) => name.slice(-2))).toEqual(['-1', '-2'])
    expect(lastJob()).toMatchObject({ EnableManagedSpotTraining: false, CheckpointConfig: { S3Uri: checkpoints } })
    expect(Object(lastJob().StoppingCondition)).toEqual({ MaxRuntimeInSeconds: 7200 * 1.2 + 1800 })
    ends({ TrainingJobStatus: 'Failed', FailureReason: 'CapacityError: Unable to provision requested ML compute capacity.' })
    await expect(bench.build(order)).rejects.toMatchObject({ code: 'model_error', extras: { facts: { reason: 'crashed' } } })
    expect(jobs()).toHaveLength(2)
  })

  it('runs on demand where the account has no quota for Spot, or the stage wants none', async () => {
    cloud.state.no_spot = true
    await begun()
    await begun()
    expect(jobs().map(([, job]) => job.EnableManagedSpotTraining)).toEqual([false])
    cloud.state.no_spot = false
    bench = processingWorkbench(partsOf({ spot: false }))
    const other = { ...order, candidate: 'optimizations/org_1/opt_2/candidate-3.onnx' }
    await begun(other)
    expect(lastJob()).toMatchObject({ EnableManagedSpotTraining: false })
    expect(String(lastJob().TrainingJobName)).toMatch(/-1$/)
  })

  it.each([
    [{ TrainingJobStatus: 'Stopped', SecondaryStatus: 'MaxRuntimeExceeded' }, 'model_error', 'timeout'],
    [{ TrainingJobStatus: 'Failed', FailureReason: 'AlgorithmError: exit code 137, OutOfMemory: OOM' }, 'model_error', 'memory'],
    [{ TrainingJobStatus: 'Failed', FailureReason: 'AlgorithmError: Error: no' }, 'model_error', 'crashed'],
  ])('that ends as %o is told with its reason', async (end, code, reason) => {
    await begun()
    ends(end)
    await expect(bench.build(order)).rejects.toMatchObject({ code, extras: { facts: { reason } } })
    expect(jobs()).toHaveLength(1)
  })

  it('that the optimizer refuses is told in its words', async () => {
    await begun()
    leaves({ ok: false, code: 'model_error', detail: 'Node lstm_1 cannot be differentiated', facts: { reason: 'refused' } })
    ends({ TrainingJobStatus: 'Completed' })
    await expect(bench.build(order)).rejects.toMatchObject({ message: 'Node lstm_1 cannot be differentiated' })
  })

  it('is made once though two ask at once, and found again after an answer was lost', async () => {
    const both = await Promise.allSettled([bench.build(order), bench.build(order)])
    expect(both.map((one) => (one.status === 'rejected' ? one.reason.code : one.status))).toEqual([
      'work_pending',
      'work_pending',
    ])
    expect(jobs()).toHaveLength(1)
  })

  it('is stopped with its optimisation and leaves neither order nor checkpoints', async () => {
    await begun()
    const name = String(lastJob().TrainingJobName)
    store.kept.set(`processing/${name.slice(0, -2)}/checkpoints/state.bin`, Buffer.from('weights'))
    await bench.abandon?.('optimizations/org_1/opt_1')
    expect(lastJob().TrainingJobStatus).toBe('Stopping')
    expect([...store.kept.keys()].filter((key) => key.startsWith('processing/'))).toEqual([])
    await bench.abandon?.('optimizations/org_1/opt_1')
    ends({ TrainingJobStatus: 'Stopped', SecondaryStatus: 'Stopped' })
    await expect(bench.build(order)).rejects.toMatchObject({ code: 'cancelled' })
  })

  it('is refused where no job may run so long', async () => {
    const endless = { ...order, settings: { ...order.settings, budget_s: 86_400 } }
    await expect(bench.build(endless)).rejects.toMatchObject({
      code: 'model_error',
      message: 'Training of 86400 s is too long for a job; wanted at most 81000 s',
    })
    expect(jobs()).toEqual([])
  })

  it('is a matter of time: what a step has room for stays here, unless the model is too large for it', async () => {
    await bench.build(short)
    expect(here).toEqual([short.candidate])
    bench = processingWorkbench(partsOf({ larger_than_bytes: 1000 }))
    await begun(short)
    expect(lastJob()).toMatchObject({ StoppingCondition: { MaxRuntimeInSeconds: 20 * 1.2 + 1800 } })
    const rounds = { ...order, optimizer: 'structured-pruning', settings: { fine_tune_s: 300, rounds: 4 } }
    bench = processingWorkbench(partsOf())
    await begun(rounds)
    expect(lastJob()).toMatchObject({ StoppingCondition: { MaxRuntimeInSeconds: 1200 * 1.2 + 1800 } })
  })
})
