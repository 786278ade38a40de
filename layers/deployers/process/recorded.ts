import { randomBytes } from 'node:crypto'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import type { Log } from '../../core/ports/log.ts'
import type { ModelInstance } from './instance.ts'

/** Stores one process's sample in the place of its last one; `writer` sorts by the time the process began. */
export type KeepRecorded = (name: { organization_id: string; id: string }, writer: string, rows: Uint8Array) => Promise<void>

interface Recording {
  every_ms: number
  keep(writer: string, rows: Uint8Array): Promise<void>
  failed(error: unknown): void
}

/** How long a process that is to end may take for a last answer. */
const LAST_MS = 500

/**
 * An instance that is asked for what it kept of its requests, now and then and before it is ended. One that computes is ended at once: it
 * could not answer, and perhaps never will.
 */
const recorded = (instance: ModelInstance, { every_ms, keep, failed }: Recording): ModelInstance => {
  const writer = `${Date.now().toString(36).padStart(9, '0')}-${randomBytes(4).toString('hex')}`
  let asking: Promise<void> | undefined
  const ask = (): Promise<void> => {
    asking ??= (async () => {
      const pieces = await instance.sample()
      if (pieces) await keep(writer, Buffer.concat(pieces))
    })()
      .catch(failed)
      .finally(() => {
        asking = undefined
      })
    return asking
  }
  const timer = setInterval(() => void ask(), every_ms).unref()
  void instance.exited.then(() => clearInterval(timer))
  let ending = false
  return {
    pid: instance.pid,
    loaded: instance.loaded,
    exited: instance.exited,
    tuned: instance.tuned,
    get alive() {
      return instance.alive
    },
    get in_flight() {
      return instance.in_flight
    },
    get progress_at() {
      return instance.progress_at
    },
    open: (options) => instance.open(options),
    call: (request, done) => instance.call(request, done),
    sample: () => instance.sample(),
    kill: (reason) => {
      if (ending) return
      ending = true
      if (!instance.alive || instance.in_flight > (asking ? 1 : 0)) return instance.kill(reason)
      const late = new Promise((resolve) => setTimeout(resolve, LAST_MS))
      void Promise.race([ask(), late]).then(() => instance.kill(reason))
    },
  }
}

/** What takes instances for a deployment: as they are, or recorded where it keeps a sample of its requests. */
export const recordedTake = (
  deployment: DeployTarget['deployment'],
  take: () => ModelInstance,
  { keep_recorded, record_every_ms = 60_000, log }: { keep_recorded?: KeepRecorded; record_every_ms?: number; log: Log },
): (() => ModelInstance) => {
  if (!deployment.record_requests || !keep_recorded) return take
  return () =>
    recorded(take(), {
      every_ms: record_every_ms,
      keep: (writer, rows) => keep_recorded(deployment, writer, rows),
      failed: (error) => log.warn('requests_not_recorded', { deployment_id: deployment.id, error: String(error) }),
    })
}
