import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import {
  CreateProcessingJobCommand,
  type CreateProcessingJobCommandInput,
  DescribeProcessingJobCommand,
  type DescribeProcessingJobCommandOutput,
  ListProcessingJobsCommand,
  type SageMakerClient,
  StopProcessingJobCommand,
} from '@aws-sdk/client-sagemaker'
import * as z from 'zod'
import { awsCode, awsFailure } from '../aws/failure.ts'
import { PlatformError } from '../core/contract/errors.ts'
import type { Json } from '../core/domain/json.ts'
import { Fidelity, LatencyInterval, Measurement } from '../core/domain/optimization.ts'
import type { Artifacts } from '../core/ports/artifacts.ts'
import type { BuildOrder, MeasureOrder, Workbench } from '../core/ports/workbench.ts'
import { candidateFolder, inputFolder, Order, Outcome, resultFolder } from './order.ts'

export interface ProcessingParts {
  /** For models that this machine holds. */
  local: Workbench
  client: () => SageMakerClient
  artifacts: Pick<Artifacts, 'put' | 'read' | 'stat' | 'remove' | 'list' | 'expand'>
  bucket: string
  stage: string
  /** What the job may do: read and write the bucket. */
  role_arn: string
  /** A published image with Python 3, which unpacks the runtime. */
  image: string
  /** The archive of `dist/processing`. */
  runtime: { bucket: string; key: string }
  instance_type: string
  volume_gb?: number
  max_runtime_s?: number
  /** Models above it are worked on in a job; below, a job's two minutes to start are longer than the work. */
  larger_than_bytes: number
  kms_key_arn?: string
}

const RETRY_AFTER_S = 30
/** A job that AWS broke is made once more. */
const MOST_JOBS = 2
const Built = z.object({ size_bytes: z.number(), sha256: z.string(), time_ms: z.number(), notes: z.array(z.string()) })
const Measured = z.object({
  original: Measurement,
  candidate: Measurement,
  fidelity: Fidelity,
  latency_interval: LatencyInterval.optional(),
})

/**
 * A workbench whose large work goes to SageMaker Processing: instances that are rented for the minutes they work. A call whose job runs
 * fails with `work_pending`; repeated, it finds the job by its name, which is made of the order, and answers when it is done. Jobs run on
 * demand: SageMaker has spot instances for training jobs only.
 */
export const processingWorkbench = (parts: ProcessingParts): Workbench => {
  let made: SageMakerClient | undefined
  const client = (): SageMakerClient => (made ??= parts.client())
  const isLarge = async (key: string): Promise<boolean> =>
    ((await parts.artifacts.stat(key))?.size_bytes ?? 0) > parts.larger_than_bytes
  return {
    build: async (order: BuildOrder) =>
      (await isLarge(order.original))
        ? Built.parse(await inJob(parts, client(), { kind: 'build', order }))
        : parts.local.build(order),
    measure: async (order: MeasureOrder) => {
      if (!(await isLarge(order.original))) return parts.local.measure(order)
      const { latency_interval, ...measured } = Measured.parse(await inJob(parts, client(), { kind: 'measure', order }))
      return latency_interval === undefined ? measured : { ...measured, latency_interval }
    },
    abandon: (folder) => stopJobs(parts, client(), folder),
  }
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12)
/** The candidate's folder stands in the name, so that all jobs of one optimisation are found by it. */
const jobPrefix = (stage: string, folder: string): string => `aideploy-${stage}-p-${digest(folder)}`
const folderOf = (job: string): string => `processing/${job}`

const inJob = async (parts: ProcessingParts, client: SageMakerClient, given: Order): Promise<Json> => {
  const order = Order.parse(given)
  const base = `${jobPrefix(parts.stage, dirname(order.order.candidate))}-${digest(JSON.stringify(order))}`
  for (let attempt = 1; ; attempt += 1) {
    const name = `${base}-${attempt}`
    const job = await describe(client, name)
    if (job === undefined) {
      await start(parts, client, name, order)
      throw pending(name)
    }
    if (job.ProcessingJobStatus === 'Completed') return resultOf(parts, name)
    if (job.ProcessingJobStatus === 'Stopped') throw new PlatformError('cancelled', `Processing job ${name} was stopped`)
    if (job.ProcessingJobStatus !== 'Failed') throw pending(name)
    const why = [job.FailureReason, job.ExitMessage].filter(Boolean).join('; ') || 'AWS gave no reason'
    if (attempt >= MOST_JOBS || !/InternalServerError|CapacityError|InsufficientInstanceCapacity/i.test(why))
      throw broken(name, why)
  }
}

const pending = (name: string): PlatformError =>
  new PlatformError('work_pending', `Processing job ${name} is at work`, { retry_after_s: RETRY_AFTER_S })

const broken = (name: string, why: string): PlatformError => {
  const reason = /time limit|MaxRuntime/i.test(why) ? 'timeout' : /memory|OOM/i.test(why) ? 'memory' : 'crashed'
  return new PlatformError('model_error', `Processing job ${name} failed: ${why}`, { facts: { reason } })
}

const describe = async (client: SageMakerClient, name: string): Promise<DescribeProcessingJobCommandOutput | undefined> => {
  try {
    return await client.send(new DescribeProcessingJobCommand({ ProcessingJobName: name }))
  } catch (error) {
    const absent = awsCode(error) === 'ResourceNotFound' || (error instanceof Error && /could not find/i.test(error.message))
    if (absent) return undefined
    throw awsFailure(error, 'Looking for the processing job')
  }
}

const start = async (parts: ProcessingParts, client: SageMakerClient, name: string, order: Order): Promise<void> => {
  // The job reads the bucket itself: what lies there compressed it could not open.
  await parts.artifacts.expand?.(order.order.original)
  await parts.artifacts.put(`${folderOf(name)}/order.json`, once(JSON.stringify(order)))
  try {
    await client.send(new CreateProcessingJobCommand(jobInput(parts, name, order)))
  } catch (error) {
    if (awsCode(error) === 'ResourceInUse') return
    throw awsFailure(error, 'Starting the processing job', {
      ResourceLimitExceeded: ['unavailable', `No room for a processing job on ${parts.instance_type}: ${String(error)}`],
    })
  }
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

export const jobInput = (parts: ProcessingParts, name: string, { kind, order }: Order): CreateProcessingJobCommandInput => {
  const root = '/opt/ml'
  const at = (key: string): string => `s3://${parts.bucket}/${key}`
  const input = (role: Parameters<typeof inputFolder>[0], S3Uri: string) => ({
    InputName: role,
    S3Input: {
      S3Uri,
      LocalPath: `${root}/${inputFolder(role)}`,
      S3DataType: 'S3Prefix' as const,
      S3InputMode: 'File' as const,
    },
  })
  const output = (OutputName: string, folder: string, S3Uri: string) => ({
    OutputName,
    S3Output: { S3Uri, LocalPath: `${root}/${folder}`, S3UploadMode: 'EndOfJob' as const },
  })
  const outputs = [output('result', resultFolder, at(`${folderOf(name)}/result`))]
  if (kind === 'build') outputs.push(output('candidate', candidateFolder, at(dirname(order.candidate))))
  return {
    ProcessingJobName: name,
    RoleArn: parts.role_arn,
    AppSpecification: { ImageUri: parts.image, ContainerEntrypoint: entrypoint(root, '/tmp/aideploy') },
    ProcessingInputs: [
      input('order', at(`${folderOf(name)}/order.json`)),
      input('runtime', `s3://${parts.runtime.bucket}/${parts.runtime.key}`),
      input('original', at(order.original)),
      ...(kind === 'measure' ? [input('candidate', at(order.candidate))] : []),
      ...(order.calibration === null ? [] : [input('calibration', at(order.calibration))]),
    ],
    ProcessingOutputConfig: {
      Outputs: outputs,
      ...(parts.kms_key_arn === undefined ? {} : { KmsKeyId: parts.kms_key_arn }),
    },
    ProcessingResources: {
      ClusterConfig: {
        InstanceCount: 1,
        InstanceType: parts.instance_type as 'ml.m5.2xlarge',
        VolumeSizeInGB: parts.volume_gb ?? 60,
      },
    },
    StoppingCondition: { MaxRuntimeInSeconds: parts.max_runtime_s ?? 3600 },
    // Model files are foreign: nothing in there may speak to anyone.
    NetworkConfig: { EnableNetworkIsolation: true },
    Tags: [{ Key: 'aideploy:stage', Value: parts.stage }],
  }
}

/** Unpacks the runtime with what every Python image has, then hands over to its script. */
export const entrypoint = (root: string, folder: string): string[] => [
  '/bin/sh',
  '-c',
  `mkdir -p ${folder} && python3 -m zipfile -e ${root}/${inputFolder('runtime')}/*.zip ${folder} && exec /bin/sh ${folder}/entry.sh ${root}`,
]

const resultOf = async ({ artifacts }: ProcessingParts, name: string): Promise<Json> => {
  const pieces = await (await artifacts.read(`${folderOf(name)}/result/result.json`)).toArray()
  const outcome = Outcome.parse(JSON.parse(Buffer.concat(pieces).toString('utf8')))
  if (outcome.ok) return outcome.result
  throw new PlatformError(outcome.code, outcome.detail, { facts: outcome.facts })
}

const stopJobs = async ({ stage, artifacts }: ProcessingParts, client: SageMakerClient, folder: string): Promise<void> => {
  for (const key of await artifacts.list(`processing/${jobPrefix(stage, folder)}`)) await artifacts.remove(key)
  try {
    const { ProcessingJobSummaries = [] } = await client.send(
      new ListProcessingJobsCommand({ NameContains: jobPrefix(stage, folder), StatusEquals: 'InProgress' }),
    )
    for (const { ProcessingJobName } of ProcessingJobSummaries)
      await client.send(new StopProcessingJobCommand({ ProcessingJobName }))
  } catch (error) {
    throw awsFailure(error, 'Stopping processing jobs')
  }
}
