import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { PlatformError } from '../core/contract/errors.ts'
import { memoryBytes } from '../core/domain/memory-size.ts'
import { recordingWithin } from '../core/domain/recorded-rows.ts'
import type { Artifacts } from '../core/ports/artifacts.ts'
import {
  type Deployer,
  type DeployTarget,
  defineDeployer,
  type InferenceReply,
  type InferenceRequest,
} from '../core/ports/deployer.ts'
import type { Log } from '../core/ports/log.ts'
import { canaryPools } from './process/canaries.ts'
import { platformError } from './process/faults.ts'
import { servingFiles } from './process/files.ts'
import type { ModelInstance, StartInstance, WriteServingForm } from './process/instance.ts'
import { processLadder } from './process/ladder.ts'
import { createPool, type Pool } from './process/pool.ts'
import { type KeepRecorded, recordedTake } from './process/recorded.ts'
import { requestBodies } from './process/request-bodies.ts'
import { machine, processSettings, threadsOf } from './process/settings.ts'
import { spareInstances } from './process/spares.ts'

export interface ProcessDeployerOptions {
  artifacts: Pick<Artifacts, 'asFile'>
  /** Serving forms live in `<deployments_dir>/<id>/<revision>/`; all of it can be made again. */
  deployments_dir: string
  /** The processes' empty working folder is made below it. */
  scratch_dir: string
  log: Log
  writeServingForm: WriteServingForm
  startInstance: StartInstance
  /** A deployment that was up cannot run any more, e.g. its model crashes in a loop. */
  on_failed(deployment_id: string, reason: string): void
  /** Processes kept ready with the runtime loaded; default 1. */
  spare_count?: number
  /** Calls waiting per deployment beyond those being computed; default 2048, so that a thousand who wake it together are all answered. */
  max_queue?: number
  /** Default 256 MiB. */
  max_request_bytes?: number
  /** Request bodies in memory at once, all deployments together; default four of the largest. */
  max_held_bytes?: number
  /** Longest opening of a model, its probe run included; default 60 s. */
  start_timeout_ms?: number
  /** Default 32. */
  max_batch?: number
  /** Takes what model processes kept of their requests; without it no deployment may keep any. */
  keep_recorded?: KeepRecorded
  /** How often they are asked for it; default a minute. */
  record_every_ms?: number
}

export type ProcessDeployer = Deployer & {
  /** Calls in flight finish within their time limit, then every process ends. */
  stop(): Promise<void>
}

/** More weights than this are prepacked in a second process; below, the same process does it within a tenth of a second. */
const swap_tiers_bytes = 48_000_000
const window = 64
const joined_reply_bytes = 256 * 1024
/** Short answers in one buffer, long ones as a stream of what the process sent. */
const bodyOf = (pieces: readonly Uint8Array[]): Uint8Array | Readable => {
  if (pieces.length === 1) return pieces[0]!
  const size_bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
  return size_bytes <= joined_reply_bytes ? Buffer.concat(pieces) : Readable.from(pieces, { objectMode: false })
}

/**
 * `serverless` on one machine: every instance is a child process with an empty environment and an empty working folder, watched from
 * outside. A deployment without requests sleeps without a process; waking takes one that has the runtime loaded already.
 */
export const processDeployer = (options: ProcessDeployerOptions): ProcessDeployer => {
  const empty_dir = join(options.scratch_dir, 'empty')
  mkdirSync(options.deployments_dir, { recursive: true })
  const files = servingFiles(options.deployments_dir, options.artifacts, options.writeServingForm)
  /** Scratch folders may be swept at any time, and a process cannot start in a folder that is gone. */
  const start = (): ModelInstance => {
    mkdirSync(empty_dir, { recursive: true })
    return options.startInstance(empty_dir)
  }
  const spares = spareInstances(start, options.spare_count ?? 1)
  const max_request_bytes = options.max_request_bytes ?? 256 * 2 ** 20
  const collect = requestBodies(max_request_bytes, options.max_held_bytes ?? 4 * max_request_bytes)
  /** By deployment id: the pool of the newest revision that came up. */
  const pools = new Map<string, Pool>()
  const waking = new Map<string, Promise<Pool>>()
  /** Put to sleep or deleted on purpose: a call that read the deployment just before must not start it again. */
  const asleep = new Set<string>()
  const canaries = canaryPools()
  /** Files of earlier revisions on their way out, by deployment id. */
  const clearing = new Map<string, Promise<unknown>>()

  const poolOf = async (target: DeployTarget): Promise<Pool> => {
    const { deployment, model } = target
    const { resource_requirements: resources, scaling_policy: scaling } = deployment
    const model_path = await files.prepare(target)
    return createPool({
      deployment_id: deployment.id,
      opening: {
        model_path,
        name: deployment.name,
        version: String(deployment.revision),
        threads: threadsOf(resources.cpu),
        max_batch: options.max_batch ?? 32,
        record: recordingWithin(deployment.record_requests, memoryBytes(resources.memory)),
      },
      swap_tiers: model.size_bytes > swap_tiers_bytes,
      min_instances: scaling.min_instances,
      max_instances: scaling.max_instances,
      timeout_ms: resources.timeout * 1000,
      memory_limit_bytes: memoryBytes(resources.memory),
      window,
      max_queue: options.max_queue ?? 2048,
      start_timeout_ms: options.start_timeout_ms ?? 60_000,
      take: recordedTake(deployment, spares.take, options),
      log: options.log,
      on_failed: (reason) => options.on_failed(deployment.id, reason),
    })
  }

  const retire = async (deployment_id: string, reason: string): Promise<void> => {
    const pool = pools.get(deployment_id)
    pools.delete(deployment_id)
    await Promise.all([pool?.drain(reason), canaries.end(deployment_id, reason)])
  }

  /** How long the last start of each deployment took, for its ladder. */
  const start_s = new Map<string, number>()
  const started = async (id: string, pool: Pool, why: 'activate' | 'deploy'): Promise<void> => {
    const began_ms = performance.now()
    await pool.start(why)
    start_s.set(id, (performance.now() - began_ms) / 1000)
  }

  /** One pool per deployment, however many callers want it at once. */
  const awake = (target: DeployTarget): Promise<Pool> => {
    const { id } = target.deployment
    const present = pools.get(id)
    if (present && present.status().failed === undefined)
      return present.status().ready ? Promise.resolve(present) : present.start('activate').then(() => present)
    const pending =
      waking.get(id) ??
      (async () => {
        try {
          const pool = await poolOf(target)
          await started(id, pool, 'activate').catch(async (error: unknown) => {
            await pool.drain('it could not be started')
            throw platformError(error)
          })
          pools.set(id, pool)
          return pool
        } finally {
          waking.delete(id)
        }
      })()
    waking.set(id, pending)
    return pending
  }

  const infer = async (target: DeployTarget, request: InferenceRequest): Promise<InferenceReply> => {
    if (asleep.has(target.deployment.id))
      throw new PlatformError('deployment_unavailable', `Deployment ${target.deployment.id} was put to sleep just now`, {
        retry_after_s: 1,
      })
    const canary = canaries.choose(target.deployment.id)
    const pool = canary?.pool ?? pools.get(target.deployment.id) ?? (await awake(target))
    const { pieces: body, release } = await collect(request.body, Number(request.headers['content-length'] ?? 0))
    const { reply, cold, init_us, memory_bytes } = await pool
      .call({ method: request.method, path: request.path, headers: request.headers, body }, request.signal)
      .finally(release)
    return {
      status: reply.status,
      headers: reply.headers,
      body: bodyOf(reply.body),
      usage: { ...reply.usage, cold, init_us, memory_bytes },
      ...(canary === undefined ? {} : { revision: canary.revision }),
    }
  }

  const deployer = defineDeployer({
    type: 'serverless',
    summary: 'Model processes on this machine that sleep when nobody calls and wake within milliseconds',
    settings: processSettings,
    capabilities: {
      frameworks: ['onnx'],
      scales_to_zero: true,
      gpu: false,
      max_memory_bytes: machine().memory_bytes,
      max_timeout_s: 86_400,
      records_requests: options.keep_recorded !== undefined,
    },
    needs: [],
    deploy: async (target) => {
      const { id, revision } = target.deployment
      const pool = await poolOf(target)
      try {
        await started(id, pool, 'deploy')
      } catch (error) {
        await pool.drain('it could not be deployed')
        throw platformError(error)
      }
      const previous = pools.get(id)
      pools.set(id, pool)
      asleep.delete(id)
      // Calls in flight on the old revision finish in their own time; nobody waits for them here.
      const cleared = Promise.all([previous?.drain('a newer revision took over'), canaries.end(id, 'a newer revision took over')])
        .then(() => files.removeBefore(id, revision))
        .catch((error: unknown) => options.log.warn('clean_up_failed', { deployment_id: id, error: String(error) }))
      clearing.set(id, cleared)
      return { folder: join(id, String(revision)) }
    },
    status: async ({ deployment }) => {
      const status = pools.get(deployment.id)?.status()
      if (!status) return { ready: false, instances: 0, detail: 'no process is running; the next request starts one' }
      return {
        ready: status.ready,
        instances: status.instances,
        memory_bytes: status.memory_bytes,
        ...(status.failed === undefined ? {} : { detail: status.failed }),
      }
    },
    infer,
    hibernate: async ({ deployment }) => {
      asleep.add(deployment.id)
      await waking.get(deployment.id)?.catch(() => undefined)
      await retire(deployment.id, 'The deployment hibernates')
    },
    activate: async (target) => {
      asleep.delete(target.deployment.id)
      await awake(target)
    },
    shift: async ({ deployment }, canary, other) => {
      await clearing.get(deployment.id)
      await canaries.set(deployment.id, canary, other, poolOf)
      return deployment.deployer_state
    },
    undeploy: async ({ deployment }) => {
      asleep.add(deployment.id)
      await waking.get(deployment.id)?.catch(() => undefined)
      await retire(deployment.id, 'The deployment was deleted')
      clearing.delete(deployment.id)
      await files.removeAll(deployment.id)
      start_s.delete(deployment.id)
    },
    ladder: (target) => processLadder(target, start_s.get(target.deployment.id)),
  })
  return {
    ...deployer,
    stop: async () => {
      spares.stop()
      await Promise.all([...pools.keys()].map((id) => retire(id, 'The platform stops')))
    },
  }
}
