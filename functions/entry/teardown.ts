import * as z from 'zod'
import { app } from '#app'
import { listProvisioned, tearDownDeployments } from '../../layers/core/usecases/tear-down-deployments.ts'
import { stackEvent } from './stack-event.ts'

const Order = z.object({ remove: z.boolean() })

const onStackEvent = stackEvent(app.log, async () => `${(await tearDownDeployments(app)).removed.length} removed`)

/**
 * Removes everything that deployments have provisioned: by hand (`npm run aws:teardown`, which lists with `remove: false` first), or because
 * the stack that holds this function goes.
 */
export const handler = async (event: unknown): Promise<{ left: string[]; removed: string[] }> => {
  if (await onStackEvent(event)) return { left: [], removed: [] }
  if (!Order.parse(event).remove) return { left: await listProvisioned(app), removed: [] }
  return { left: [], ...(await tearDownDeployments(app)) }
}
