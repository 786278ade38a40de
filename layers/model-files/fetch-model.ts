import { hash } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { PlatformError } from '../core/contract/errors.ts'
import { ModelManifest } from '../core/contract/model-function.ts'
import { limited } from '../core/domain/limited.ts'
import { type FetchOptions, fetchFile } from './fetch-file.ts'
import { retryDelay_ms } from './ranges.ts'

/** A manifest lists a handful of files. */
const most_manifest_bytes = 1 << 20
const manifest_failures = 5

export interface FetchedModel {
  manifest: ModelManifest
  /** The graph; its weights lie beside it. */
  model_path: string
  size_bytes: number
  /** Milliseconds from the order to the last verified byte. */
  fetch_ms: number
}

/**
 * Loads a model in its serving form into `folder`, which is emptied first: the manifest, held against its sha256, then all files at once.
 * Fails with `deployment_unavailable` (facts.reason `sha256_mismatch`, `storage_failed`); then the folder is gone.
 */
export const fetchModel = async (
  wanted: { manifest_key: string; manifest_sha256: string },
  folder: string,
  options: FetchOptions,
): Promise<FetchedModel> => {
  const started_ms = performance.now()
  const manifest = await fetchManifest(wanted, options)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  try {
    const limit = limited(options.concurrency ?? 8)
    await Promise.all(manifest.files.map((file) => fetchFile(file, join(folder, file.name), options, limit)))
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
  return {
    manifest,
    model_path: join(folder, 'model.onnx'),
    size_bytes: manifest.files.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
    fetch_ms: performance.now() - started_ms,
  }
}

const fetchManifest = async (
  { manifest_key, manifest_sha256 }: { manifest_key: string; manifest_sha256: string },
  options: FetchOptions,
): Promise<ModelManifest> => {
  const bytes = await readWhole(manifest_key, options)
  const got = hash('sha256', bytes, 'hex')
  if (got !== manifest_sha256)
    throw new PlatformError('deployment_unavailable', `${manifest_key} has sha256 ${got}, wanted ${manifest_sha256}`, {
      facts: { reason: 'sha256_mismatch' },
    })
  return ModelManifest.parse(JSON.parse(bytes.toString()))
}

const readWhole = async (key: string, options: FetchOptions): Promise<Buffer> => {
  for (let failures = 1; ; failures++) {
    try {
      const pieces: Uint8Array[] = []
      const signal = AbortSignal.timeout(options.stall_ms ?? 4000)
      for await (const piece of await options.read(key, { start: 0, end: most_manifest_bytes - 1 }, signal)) pieces.push(piece)
      return Buffer.concat(pieces)
    } catch (error) {
      if ((error instanceof PlatformError && error.status < 500) || failures >= manifest_failures)
        throw new PlatformError('deployment_unavailable', `${key} could not be loaded: ${String(error)}`, {
          facts: { reason: 'storage_failed' },
          cause: error,
        })
      options.retried?.(key, String(error))
      await pause(retryDelay_ms(failures))
    }
  }
}
