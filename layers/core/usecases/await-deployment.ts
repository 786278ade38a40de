import type { Deployment } from '../domain/deployment.ts'
import type { App } from '../ports/app.ts'
import { memoryOf, nextChange } from './deployment-memory.ts'
import type { DeploymentName } from './deployment-records.ts'
import { findCachedDeployment } from './find-cached-deployment.ts'

/** Between two looks for changes made by other processes; own changes are noticed at once. */
const LOOK_EVERY_MS = 200

/**
 * Waits until `reached` holds of the deployment or `wait_ms` have passed, and answers it as it then is; undefined when there is none.
 * A thousand who wait share one read per look. `signal` ends the wait early.
 */
export const awaitDeployment = async (
  app: Pick<App, 'records' | 'now'>,
  { id }: Pick<DeploymentName, 'id'>,
  reached: (deployment: Deployment) => boolean,
  wait_ms: number,
  signal?: AbortSignal,
): Promise<Deployment | undefined> => {
  const memory = memoryOf(app)
  const until_ms = app.now().getTime() + wait_ms
  for (;;) {
    const changed = nextChange(memory, id)
    const { deployment } = await findCachedDeployment(app, id, LOOK_EVERY_MS)
    const left_ms = until_ms - app.now().getTime()
    if (deployment === undefined || reached(deployment) || left_ms <= 0 || signal?.aborted) return deployment
    await orAfter(changed, Math.min(left_ms, LOOK_EVERY_MS + 1), signal)
  }
}

const orAfter = (changed: Promise<void>, after_ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, after_ms)
    signal?.addEventListener('abort', done)
    changed.then(done)
  })
