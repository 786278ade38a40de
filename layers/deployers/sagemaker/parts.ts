import type { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling'
import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch'
import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs'
import type { IAMClient } from '@aws-sdk/client-iam'
import type { SageMakerClient } from '@aws-sdk/client-sagemaker'
import type { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime'
import { memoised } from '../../aws/memoised.ts'
import type { PriceBook } from '../../core/domain/price.ts'
import type { Artifacts } from '../../core/ports/artifacts.ts'
import type { Log } from '../../core/ports/log.ts'
import type { ImageKind } from './images.ts'

/** Where everything of the deployer's stands. */
export interface Place {
  partition: string
  region: string
  account: string
  stage: string
}

export interface SagemakerParts extends Place {
  /** Each is called at its first use, once. */
  clients: {
    sagemaker: () => SageMakerClient
    runtime: () => SageMakerRuntimeClient
    iam: () => IAMClient
    scaling: () => ApplicationAutoScalingClient
    alarms: () => CloudWatchClient
    logs: () => CloudWatchLogsClient
  }
  artifacts: Pick<Artifacts, 'asFile' | 'put' | 'read' | 'stat' | 'remove' | 'list'>
  bucket: string
  /** Permissions boundary of the roles it makes. */
  boundary_arn: string
  prices: PriceBook
  /** What callers of an asynchronous deployment are pointed to for results; without a trailing slash. */
  public_url: string
  log: Log
  /** Other images than the published ones, e.g. a copy in the operator's own registry. */
  images?: Partial<Record<ImageKind, string>>
  /** Days the containers' logs are kept; default 30. */
  log_retention_days?: number
  /** KMS key of the bucket, where it has one of its own. */
  kms_key_arn?: string
  /** Longest time one verb waits before it says `work_pending`; default 8 minutes. */
  wait_ms?: number
  poll_ms?: number
  /** How long a role that was just made may be unknown; default a minute. */
  role_new_ms?: number
  /** When the verb at work stops waiting, milliseconds since the epoch; set by the deployer. */
  deadline_ms?: number
}

/** The same parts for one verb, all of whose waits end together: a step has one time limit, however many things it waits for. */
export const forOneVerb = (parts: SagemakerParts): SagemakerParts => ({
  ...parts,
  deadline_ms: Date.now() + (parts.wait_ms ?? LONGEST_WAIT_MS),
})

const LONGEST_WAIT_MS = 480_000

/** The same parts, every client made at most once. */
export const connected = (parts: SagemakerParts): SagemakerParts => {
  const { sagemaker, runtime, iam, scaling, alarms, logs } = parts.clients
  const clients = {
    sagemaker: memoised(sagemaker),
    runtime: memoised(runtime),
    iam: memoised(iam),
    scaling: memoised(scaling),
    alarms: memoised(alarms),
    logs: memoised(logs),
  }
  return { ...parts, clients }
}
