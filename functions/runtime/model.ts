import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PlatformError } from '../../layers/core/contract/errors.ts'
import { recordingWithin } from '../../layers/core/domain/recorded-rows.ts'
import { fetchModel } from '../../layers/model-files/fetch-model.ts'
import { type Supervisor, supervise } from '../../layers/serving/supervisor.ts'
import { environment } from './environment.ts'
import { empty_dir, takeInstance } from './first-process.ts'
import { log } from './log.ts'
import { readRange } from './parts.ts'

export interface LoadedModel {
  /** What the protocol calls it. */
  name: string
  supervisor: Supervisor
  /** Microseconds from the start of this process until the model could answer. */
  ready_us: number
}

/** Weights above this are prepacked by a second process, if both fit: its copy takes up to as much again, each process 150 MB. */
const swap_tiers_bytes = 48_000_000
const process_bytes = 150 * 2 ** 20
const swap_after_ms = 300
const max_batch = 32

const fitsTwice = (size_bytes: number): boolean =>
  environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE * 2 ** 20 > 2.5 * size_bytes + 3 * process_bytes

/** The model process starts while the model is on its way. Its working folder is empty and its environment too: no credential is in it. */
const start = async (): Promise<LoadedModel> => {
  const first = takeInstance()
  try {
    const wanted = { manifest_key: environment.AIDEPLOY_MANIFEST_KEY, manifest_sha256: environment.AIDEPLOY_MANIFEST_SHA256 }
    const { manifest, model_path, size_bytes, fetch_ms } = await fetchModel(wanted, join(tmpdir(), 'model'), {
      read: readRange,
      retried: (key, reason) => log.warn('range_repeated', { key, reason }),
    })
    const opening_ms = performance.now()
    const supervisor = await supervise({
      first,
      cwd: empty_dir,
      model: {
        model_path,
        name: manifest.name,
        version: String(manifest.revision),
        threads: environment.AIDEPLOY_THREADS,
        max_batch,
        record: recordingWithin(environment.AIDEPLOY_RECORD_REQUESTS, environment.AIDEPLOY_MEMORY_LIMIT_BYTES),
      },
      swap_tiers: size_bytes > swap_tiers_bytes && fitsTwice(size_bytes),
      swap_after_ms,
      // What hangs is ended by the call that waits for it; this is for the opening of a model.
      timeout_ms: environment.AIDEPLOY_TIMEOUT_S * 1000 + 60_000,
    })
    const ready_ms = performance.now()
    log.info('model_ready', { size_bytes, fetch_ms, open_ms: ready_ms - opening_ms, ready_ms, revision: manifest.revision })
    return { name: manifest.name, supervisor, ready_us: Math.round(ready_ms * 1000) }
  } catch (error) {
    first.kill('the model could not be loaded')
    throw error
  }
}

let loading: Promise<LoadedModel> | undefined

/**
 * The model, loaded once; a failed load is tried again by the next one who asks. Fails with `deployment_unavailable` saying why it
 * cannot be served.
 */
export const loadModel = (): Promise<LoadedModel> => {
  loading ??= start().catch((error: unknown) => {
    loading = undefined
    log.error('model_not_loaded', { detail: error instanceof Error ? error.message : String(error) })
    if (error instanceof PlatformError) throw error
    const detail = `The model could not be started: ${error instanceof Error ? error.message : String(error)}`
    throw new PlatformError('deployment_unavailable', detail, { facts: { reason: 'model_not_started' }, cause: error })
  })
  return loading
}

/** Whoever waits longer than `limit_ms` is told to come again; the load goes on. */
export const loadedWithin = async (limit_ms: number): Promise<LoadedModel> => {
  const { promise, reject } = Promise.withResolvers<never>()
  const late = () => new PlatformError('deployment_waking', 'The model is still being loaded', { retry_after_s: 1 })
  const timer = setTimeout(() => reject(late()), Math.max(0, limit_ms))
  try {
    return await Promise.race([loadModel(), promise])
  } finally {
    clearTimeout(timer)
  }
}

/** What the model process kept of its requests, as a file in pieces; undefined where there is nothing new. */
export const sampleRequests = async (): Promise<readonly Uint8Array[] | undefined> => {
  const loaded = await loading?.catch(() => undefined)
  return loaded?.supervisor.instance?.sample()
}

export const endModel = async (): Promise<void> => {
  const loaded = await loading?.catch(() => undefined)
  await loaded?.supervisor.close()
}
