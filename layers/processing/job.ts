import { createHash } from 'node:crypto'
import type { SageMakerClient } from '@aws-sdk/client-sagemaker'
import { awsCode, awsFailure } from '../aws/failure.ts'
import { PlatformError } from '../core/contract/errors.ts'
import type { Artifacts } from '../core/ports/artifacts.ts'
import type { Workbench } from '../core/ports/workbench.ts'
import { type JobKind, layouts, type Order } from './order.ts'

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
  /** Training told to take longer goes to a job: a step has 900 s, and a build in it 600. */
  longer_than_s?: number
  /** Whether training jobs ask for Spot instances first. */
  spot?: boolean
  kms_key_arn?: string
}

/** A job as SageMaker tells it, of either kind. */
export interface SeenJob {
  state: 'running' | 'completed' | 'stopped' | 'failed'
  why: string
  /** AWS broke it, or had no room for it: another one may do. */
  again: boolean
  /** Folder of the results, as the beginning of artifact keys. */
  results: string
  notes: string[]
}

/** What SageMaker calls processing jobs and training jobs, in the same five verbs. */
export interface Jobs {
  kind: JobKind
  noun: string
  describe(client: SageMakerClient, parts: ProcessingParts, name: string): Promise<SeenJob | undefined>
  /** `attempt` counts from 1. */
  create(
    client: SageMakerClient,
    parts: ProcessingParts,
    job: { name: string; base: string; attempt: number },
    order: Order,
  ): Promise<void>
  /** Names of those that run, of all whose name holds this. */
  running(client: SageMakerClient, prefix: string): Promise<string[]>
  stop(client: SageMakerClient, name: string): Promise<void>
}

export const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12)
/** The candidate's folder stands in the name, so that all jobs of one optimisation are found by it. */
export const jobPrefix = (stage: string, kind: JobKind, folder: string): string =>
  `aideploy-${stage}-${kind === 'training' ? 't' : 'p'}-${digest(folder)}`
export const folderOf = (job: string): string => `processing/${job}`

export const isAbsent = (error: unknown): boolean =>
  awsCode(error) === 'ResourceNotFound' || (error instanceof Error && /could not find|resource not found/i.test(error.message))

/** Reasons that lie with AWS. */
export const isTheirs = (why: string): boolean => /InternalServerError|CapacityError|InsufficientInstanceCapacity/i.test(why)

/** Sends what creates a job; one that exists by that name is this one. */
export const created = async (noun: string, parts: ProcessingParts, send: () => Promise<unknown>): Promise<void> => {
  try {
    await send()
  } catch (error) {
    if (awsCode(error) === 'ResourceInUse') return
    throw awsFailure(error, `Starting the ${noun}`, {
      ResourceLimitExceeded: ['unavailable', `No room for a ${noun} on ${parts.instance_type}: ${String(error)}`],
    })
  }
}

export const broken = (noun: string, name: string, why: string): PlatformError => {
  const reason = /time limit|MaxRuntime/i.test(why) ? 'timeout' : /memory|OOM/i.test(why) ? 'memory' : 'crashed'
  return new PlatformError('model_error', `${noun} ${name} failed: ${why}`, { facts: { reason } })
}

/** Unpacks the runtime with what every Python image has, then hands over to its script. */
export const entrypoint = (root: string, folder: string, kind: JobKind = 'processing'): string[] => [
  '/bin/sh',
  '-c',
  `mkdir -p ${folder} && python3 -m zipfile -e ${root}/${layouts[kind].input('runtime')}/*.zip ${folder} && exec /bin/sh ${folder}/entry.sh ${root} ${kind}`,
]

/** Where a job reads what, by role: every input as an S3 address. */
export const inputAddresses = (
  parts: ProcessingParts,
  name: string,
  inputs: Record<string, string | null>,
): [role: string, uri: string][] => [
  ['order', `s3://${parts.bucket}/${folderOf(name)}/order.json`],
  ['runtime', `s3://${parts.runtime.bucket}/${parts.runtime.key}`],
  ...Object.entries(inputs).flatMap(([role, key]): [string, string][] =>
    key === null ? [] : [[role, `s3://${parts.bucket}/${key}`]],
  ),
]
