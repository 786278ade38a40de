import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { SageMakerClient } from '@aws-sdk/client-sagemaker'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { buildProcessing } from '../../bin/build.ts'
import type { JsonObject } from '../../layers/core/domain/json.ts'
import type { BuildOrder, Workbench } from '../../layers/core/ports/workbench.ts'
import { ensureLayer } from '../../layers/onnxruntime/build-layer.ts'
import { optimizers } from '../../layers/optimizers/index.ts'
import { localWorkbench } from '../../layers/optimizers/workbench.ts'
import { entrypoint, type ProcessingParts } from '../../layers/processing/job.ts'
import { processingWorkbench } from '../../layers/processing/workbench.ts'
import { denseModel } from '../support/models.ts'
import { memoryArtifacts } from '../support/sagemaker-bench.ts'
import { objects } from '../support/sagemaker-cloud/state.ts'
import { type SagemakerCloud, startSagemakerCloud } from '../support/sagemaker-cloud.ts'

const can_build = process.platform === 'linux' && process.arch === 'x64'
if (!can_build) console.warn('left out: processing jobs run the bundle for Linux x64')

const KEY = 'models/org_1/mod_1/model.onnx'
const order: BuildOrder = {
  optimizer: 'dynamic-int8',
  settings: { weight_type: 'u8', conv: 'none', gather: true },
  original: KEY,
  candidate: 'optimizations/org_1/opt_1/candidate-0.onnx',
  calibration: null,
}
const measure = { original: KEY, candidate: order.candidate, calibration: null, class_output: null, input_shapes: {} }

let dir: string
let cloud: SagemakerCloud
let store: ReturnType<typeof memoryArtifacts>
let local: Workbench
let bench: Workbench
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'processing-'))
  if (!can_build) return
  const layer = join(import.meta.dirname, '../../dist/layer-x64')
  await ensureLayer(layer, 'x64')
  await buildProcessing(join(dir, 'runtime'), layer)
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))
beforeEach(async () => {
  cloud = await startSagemakerCloud()
  store = memoryArtifacts(dir)
  store.kept.set(KEY, Buffer.from(denseModel([256, 512, 64])))
  local = localWorkbench({ artifacts: store.artifacts, optimizers, scratch_dir: join(dir, 'scratch') })
  bench = processingWorkbench(partsOf({}))
})
afterEach(() => cloud.stop())

const partsOf = (changes: Partial<ProcessingParts>): ProcessingParts => ({
  local,
  client: () =>
    new SageMakerClient({
      endpoint: cloud.endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 't', secretAccessKey: 't' },
    }),
  artifacts: store.artifacts,
  ...{
    bucket: 'bucket',
    stage: 'dev',
    role_arn: 'arn:aws:iam::123456789012:role/p',
    image: 'image',
    instance_type: 'ml.m5.2xlarge',
  },
  runtime: { bucket: 'assets', key: 'runtime.zip' },
  larger_than_bytes: 1000,
  ...changes,
})
const jobOf = (): [string, JsonObject] => [...cloud.state.jobs].at(-1) ?? ['', {}]
const text = (value: unknown, ...path: string[]): string => String(path.reduce((at, name) => Object(at)[name], value))

/** As `cdk deploy` stages it, but stored, which is quicker. */
const zipped = (folder: string): void => {
  const script = `import os, zipfile, sys
with zipfile.ZipFile(sys.argv[1] + ".zip", "w") as archive:
  for base, _, files in os.walk(sys.argv[1]):
    for name in files: archive.write(os.path.join(base, name), os.path.relpath(os.path.join(base, name), sys.argv[1]))`
  execFileSync('python3', ['-c', script, folder])
}

/** Does what SageMaker does with a job: brings its inputs, runs its entry point, takes its outputs. The root is a folder, not `/opt/ml`. */
const runJob = (): void => {
  const [name, job] = jobOf()
  const root = mkdtempSync(join(dir, 'ml-'))
  const at = (path: string): string => path.replace('/opt/ml', root)
  for (const input of objects(job.ProcessingInputs)) {
    const [uri, folder] = [text(input, 'S3Input', 'S3Uri'), at(text(input, 'S3Input', 'LocalPath'))]
    mkdirSync(folder, { recursive: true })
    if (input.InputName === 'runtime') cpSync(join(dir, 'runtime.zip'), join(folder, 'runtime.zip'))
    else writeFileSync(join(folder, basename(uri)), store.kept.get(uri.replace('s3://bucket/', '')) ?? '')
  }
  // The first job unpacks the runtime; the next ones find it so, which spares the test 180 MB each.
  const unpacked = join(dir, 'unpacked')
  const [shell = '', ...args] = existsSync(unpacked) ? ['/bin/sh', join(unpacked, 'entry.sh'), root] : entrypoint(root, unpacked)
  try {
    execFileSync(shell, args, { env: { PATH: '/usr/local/bin:/usr/bin:/bin' }, stdio: 'pipe' })
    for (const output of objects(Object(job.ProcessingOutputConfig).Outputs)) {
      const folder = at(text(output, 'S3Output', 'LocalPath'))
      const prefix = text(output, 'S3Output', 'S3Uri').replace('s3://bucket/', '')
      for (const file of readdirSync(folder)) store.kept.set(`${prefix}/${file}`, readFileSync(join(folder, file)))
    }
    job.ProcessingJobStatus = 'Completed'
  } catch {
    job.ProcessingJobStatus = 'Failed'
    job.ExitMessage = readFileSync(join(root, 'output/message'), 'utf8')
  }
  expect(cloud.state.jobs.get(name)).toBe(job)
}

/** What SageMaker brings to a training job: its channels, and the checkpoints that an interrupted one left. */
const trainingFolder = (job: JsonObject, checkpoints?: string): string => {
  const root = mkdtempSync(join(dir, 'ml-'))
  for (const channel of objects(job.InputDataConfig)) {
    const folder = join(root, 'input/data', text(channel, 'ChannelName'))
    const uri = text(channel, 'DataSource', 'S3DataSource', 'S3Uri')
    mkdirSync(folder, { recursive: true })
    if (channel.ChannelName !== 'runtime')
      writeFileSync(join(folder, basename(uri)), store.kept.get(uri.replace('s3://bucket/', '')) ?? '')
  }
  if (checkpoints !== undefined) cpSync(checkpoints, join(root, 'checkpoints'), { recursive: true })
  return root
}

const container = (root: string) => {
  const unpacked = join(dir, 'unpacked')
  const script = [join(unpacked, 'entry.sh'), root, 'training']
  return { script, options: { env: { PATH: '/usr/bin:/bin' }, stdio: 'pipe' as const } }
}

/** The instance is taken away once there is something to go on from; answers the checkpoints. */
const interrupted = async (root: string): Promise<string> => {
  const { script, options } = container(root)
  const running = spawn('/bin/sh', script, { ...options, detached: true })
  const ended = once(running, 'exit')
  const checkpoints = join(root, 'checkpoints')
  while (
    !existsSync(checkpoints) ||
    !readdirSync(checkpoints, { recursive: true }).some((file) => String(file).endsWith('student.onnx'))
  )
    await new Promise((resolve) => setTimeout(resolve, 10))
  process.kill(-(running.pid ?? 0), 'SIGKILL')
  await ended
  expect(existsSync(join(root, 'model/result.json'))).toBe(false)
  return checkpoints
}

describe('large work', () => {
  it.runIf(can_build)('runs in a job whose entry script gives what this machine gives', async () => {
    zipped(join(dir, 'runtime'))
    await expect(bench.build(order)).rejects.toMatchObject({ code: 'work_pending', extras: { retry_after_s: 30 } })
    await expect(bench.build(order)).rejects.toMatchObject({ code: 'work_pending' })
    expect(cloud.state.jobs.size).toBe(1)
    expect(jobOf()[1]).toMatchObject({
      NetworkConfig: { EnableNetworkIsolation: true },
      AppSpecification: {
        ContainerEntrypoint: ['/bin/sh', '-c', expect.stringContaining('/opt/ml/processing/input/runtime/*.zip')],
      },
    })
    runJob()
    const built = await bench.build(order)
    const remote = store.kept.get(order.candidate)
    const here = await local.build(order)
    expect({ ...built, time_ms: 0 }).toEqual({ ...here, time_ms: 0 })
    expect(remote?.equals(store.kept.get(order.candidate) ?? Buffer.alloc(0))).toBe(true)

    await expect(bench.measure(measure)).rejects.toMatchObject({ code: 'work_pending' })
    runJob()
    const measured = await bench.measure(measure)
    expect(measured.fidelity).toEqual((await local.measure(measure)).fidelity)

    const refused = {
      ...order,
      settings: { weight_type: 'u8', conv: 'dense', gather: false, hold_sqnr_db: -200 },
      candidate: 'optimizations/org_1/opt_1/candidate-1.onnx',
    }
    await expect(bench.build(refused)).rejects.toMatchObject({ code: 'work_pending' })
    runJob()
    await expect(bench.build(refused)).rejects.toMatchObject({
      code: 'model_error',
      extras: { facts: { reason: 'nothing_to_do' } },
    })
  })

  it.runIf(can_build)(
    'that trains runs in a training job, which goes on from its checkpoints when it is interrupted',
    async () => {
      const training: BuildOrder = {
        ...order,
        optimizer: 'distillation',
        settings: { student: { kind: 'narrower', share: 0.5 }, temperature: 3, alpha: 0.9, budget_s: 1 },
        candidate: 'optimizations/org_1/opt_1/candidate-2.onnx',
      }
      bench = processingWorkbench(partsOf({ longer_than_s: 0.5 }))
      await expect(bench.build(training)).rejects.toMatchObject({ code: 'work_pending' })
      expect(cloud.state.jobs.size).toBe(0)
      const [name, job] = [...cloud.state.training].at(-1) ?? ['', {}]
      const root = trainingFolder(job, await interrupted(trainingFolder(job)))
      execFileSync('/bin/sh', container(root).script, container(root).options)
      const output = text(job, 'OutputDataConfig', 'S3OutputPath').replace('s3://bucket/', '')
      for (const file of readdirSync(join(root, 'model')))
        store.kept.set(`${output}/${name}/output/model/${file}`, readFileSync(join(root, 'model', file)))
      Object.assign(job, { TrainingJobStatus: 'Completed', TrainingTimeInSeconds: 100, BillableTimeInSeconds: 40 })
      const built = await bench.build(training)
      expect(built.notes.at(-1)).toBe('Trained on Spot ml.m5.2xlarge for 100 s, billed 40 s (60 % saved)')
      expect(store.kept.get(training.candidate)).toHaveLength(built.size_bytes)
      expect(built.size_bytes).toBeLessThan((store.kept.get(KEY)?.length ?? 0) * 0.6)
    },
  )

  it('of a small model stays here', async () => {
    const small = processingWorkbench(partsOf({ larger_than_bytes: 10_000_000 }))
    expect((await small.build(order)).size_bytes).toBeGreaterThan(1000)
    expect(cloud.state.jobs.size).toBe(0)
    expect(existsSync(join(dir, 'scratch'))).toBe(true)
  })

  it('that fails is told with its reason; a job that AWS broke is made once more', async () => {
    const failed = async (why: string) => {
      await expect(bench.build(order)).rejects.toMatchObject({ code: 'work_pending' })
      Object.assign(jobOf()[1], { ProcessingJobStatus: 'Failed', FailureReason: why })
    }
    await failed('InternalServerError: We encountered an internal error.')
    await failed('ClientError: Job stopped because the time limit MaxRuntimeInSeconds was exceeded')
    await expect(bench.build(order)).rejects.toMatchObject({ code: 'model_error', extras: { facts: { reason: 'timeout' } } })
    expect(cloud.state.jobs.size).toBe(2)
  })

  it('is stopped with its optimisation, and leaves no files', async () => {
    await expect(bench.build(order)).rejects.toMatchObject({ code: 'work_pending' })
    await expect(bench.build({ ...order, candidate: 'optimizations/org_1/opt_2/candidate-0.onnx' })).rejects.toMatchObject({
      code: 'work_pending',
    })
    await bench.abandon?.('optimizations/org_1/opt_1')
    const states = [...cloud.state.jobs.values()].map(({ ProcessingJobStatus }) => ProcessingJobStatus)
    expect(states).toEqual(['Stopping', 'InProgress'])
    expect([...store.kept.keys()].filter((key) => key.startsWith('processing/'))).toHaveLength(1)
    Object.assign([...cloud.state.jobs.values()][0] ?? {}, { ProcessingJobStatus: 'Stopped' })
    await expect(bench.build(order)).rejects.toMatchObject({ code: 'cancelled' })
  })
})
