import type { Readable } from 'node:stream'
import type * as z from 'zod'
import type { Canary, Deployment } from '../domain/deployment.ts'
import type { JsonObject } from '../domain/json.ts'
import type { Rung } from '../domain/ladder.ts'
import type { Inspection } from '../domain/model.ts'
import type { PriceBook } from '../domain/price.ts'

/**
 * Somewhere a model can run. One file and one registry row each; also what user extensions implement.
 * Every verb is idempotent and may be repeated after a crash. Failures are PlatformErrors whose detail a user can act on.
 */
export interface Deployer {
  type: string
  summary: string
  /** Checks `resource_requirements`, `scaling_policy`, `cost_optimization_policy` and `metadata` of a deployment for this type. */
  settings: z.ZodType
  capabilities: DeployerCapabilities
  /** IAM actions the platform needs to drive it; read by `lib/` at synth time. */
  needs: readonly string[]
  /**
   * Brings the revision up; answers what to remember. The old revision serves until this resolves. A text member `endpoint` is the
   * address callers use from then on, and must not change before `undeploy`; without one it is the platform's own path.
   */
  deploy(target: DeployTarget): Promise<JsonObject>
  status(target: DeployTarget): Promise<DeployerStatus>
  infer(target: DeployTarget, request: InferenceRequest): Promise<InferenceReply>
  /** Releases what costs money. In-flight requests finish first. */
  hibernate(target: DeployTarget): Promise<void>
  activate(target: DeployTarget): Promise<void>
  /** Leaves nothing behind. */
  undeploy(target: DeployTarget): Promise<void>
  /**
   * Sends `percent` of the requests to another revision that was up before, or all to the one in force again (null); `other` is the
   * deployment as it was in that revision. Answers what to remember instead. Absent: the type has no canaries.
   */
  shift?(target: DeployTarget, canary: Canary | null, other?: DeployTarget): Promise<JsonObject>
  /** Why this very deployment can have no canary although its type has them; undefined when it can. */
  refusesCanary?(deployment: Deployment): string | undefined
  /** What keeping the deployment costs on each rung, from warm to cold, and how long waking from it takes. Absent: not known. */
  ladder?(target: DeployTarget, prices: PriceBook): Rung[]
  /** Makes what exists match what is on record; answers what was repaired, in words. A schedule calls it. */
  reconcile?(target: DeployTarget): Promise<string[]>
  /** Removes what carries the platform's mark for deployments that `isLive` does not know; answers what was removed. */
  sweep?(isLive: (deployment_id: string) => Promise<boolean>): Promise<string[]>
}

/** A deployer with every verb that moves something. */
export type CompleteDeployer = Deployer & Required<Pick<Deployer, 'shift' | 'reconcile' | 'sweep'>>

export const defineDeployer = <D extends Deployer>(deployer: D): D => deployer

export interface DeployerCapabilities {
  frameworks: readonly string[]
  scales_to_zero: boolean
  gpu: boolean
  max_memory_bytes: number
  max_timeout_s: number
  /** A sample of the requests may be kept (`record_requests`). */
  records_requests?: boolean
  /** What serves the model writes its own usage rows: the platform counts none of the replies it passes on. */
  meters_itself?: boolean
}

export interface DeployTarget {
  deployment: Deployment
  model: {
    artifact: string
    file_name: string
    framework: string
    size_bytes: number
    sha256: string
    inspection: Inspection | null
  }
}

export interface DeployerStatus {
  ready: boolean
  instances: number
  memory_bytes?: number
  detail?: string
}

/** An inference call, protocol untouched: `path` is what follows `/inference`, e.g. `` or `/v2/models/m/infer`. */
export interface InferenceRequest {
  method: 'GET' | 'POST'
  path: string
  headers: Record<string, string>
  body: Uint8Array | Readable
  request_id: string
  signal?: AbortSignal
}

export interface InferenceReply {
  status: number
  headers: Record<string, string>
  body: Uint8Array | Readable
  /** What the call used, for metering. */
  usage: InferenceUsage
  /** The revision that answered, where it is not the one in force. */
  revision?: number
}

export interface InferenceUsage {
  /** Wall-clock microseconds of the model itself, this request's share of its batch. */
  compute_us: number
  cpu_us: number
  /** The call started an instance. */
  cold: boolean
  /** Wall-clock microseconds spent starting it, else 0. */
  init_us: number
  memory_bytes: number
  batch_size: number
}
