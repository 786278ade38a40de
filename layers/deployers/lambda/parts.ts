import { setTimeout as sleep } from 'node:timers/promises'
import type { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling'
import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch'
import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs'
import type { IAMClient } from '@aws-sdk/client-iam'
import type { LambdaClient } from '@aws-sdk/client-lambda'
import type { ResourceGroupsTaggingAPIClient } from '@aws-sdk/client-resource-groups-tagging-api'
import { memoised } from '../../aws/memoised.ts'
import type { Architecture } from '../../core/domain/skus.ts'
import type { Artifacts } from '../../core/ports/artifacts.ts'
import type { Log } from '../../core/ports/log.ts'

/** Where a deployment's parts live, and whose they are: enough to name all of them. */
export interface Place {
  stage: string
  region: string
  account: string
  /** `aws`, `aws-cn` or `aws-us-gov`. */
  partition: string
  bucket: string
  table: string
  /** The customer-managed key of bucket and table, where the stage has one. */
  key_arn?: string
}

/** What taking a deployment away needs. Each client is made at its first use. */
export interface RemovalParts extends Pick<Place, 'stage'> {
  lambda(): LambdaClient
  iam(): IAMClient
  logs(): CloudWatchLogsClient
  scaling(): ApplicationAutoScalingClient
  tagging(): ResourceGroupsTaggingAPIClient
  artifacts: Pick<Artifacts, 'list' | 'remove'>
  log: Log
  /** Waits between two looks at something that AWS works on; a test's passes at once. Default: the clock. */
  pause?(ms: number): Promise<void>
}

export interface LambdaParts extends Place, RemovalParts {
  cloudwatch(): CloudWatchClient
  /** For calling functions: one attempt and no time limit below a function's own 900 s. */
  invoker(): LambdaClient
  artifacts: Pick<Artifacts, 'asFile' | 'put' | 'stat' | 'read' | 'list' | 'remove'>
  /** The published function that serves models. `version` is the object's, where the bucket keeps several. */
  runtime: {
    code: { bucket: string; key: string; version?: string }
    /** The layer with onnxruntime for each architecture that is published. */
    layer_arns: Partial<Record<Architecture, string>>
    version: string
  }
  /** Bounds what a deployment's role can ever do. */
  boundary_arn: string
  /** Passed through to the functions: user pool, issuer and the like. */
  execution_environment: Readonly<Record<string, string>>
  /** Origins that may call the endpoints from a browser. */
  cors_origins: readonly string[]
  log_retention_days: number
  /** Seconds a new revision is watched before it takes all requests, where its deployment does not say; default 60. */
  rollout_s?: number
  /** Folder for files while they are worked on. */
  scratch_dir: string
  writeServingForm(model_path: string, out_dir: string): Promise<{ model_path: string; files: string[] }>
  now(): Date
}

/** The same parts with every client made once. */
export const connected = <Parts extends RemovalParts>(parts: Parts): Parts => {
  const clients = ['lambda', 'iam', 'logs', 'scaling', 'tagging', 'cloudwatch', 'invoker']
  const once = clients.flatMap((name) => {
    const make: unknown = Reflect.get(parts, name)
    return typeof make === 'function' ? [[name, memoised(() => Reflect.apply(make, parts, []))] as const] : []
  })
  return { ...parts, ...Object.fromEntries(once) }
}

export const pauseOf = ({ pause }: Pick<RemovalParts, 'pause'>): ((ms: number) => Promise<void>) =>
  pause ?? (async (ms) => void (await sleep(ms)))
