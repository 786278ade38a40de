import { isPlatformError, PlatformError } from '../contract/errors.ts'
import type { App } from '../ports/app.ts'

type Needs = Pick<App, 'deployers' | 'log'>

/** Names that resist for a moment (a function that AWS is still changing) are gone at the second or third look. */
const MOST_ROUNDS = 5

/** What AWS is still removing is looked at again in the next round. */
const whatPends = (error: unknown): string[] => {
  if (isPlatformError(error, 'work_pending')) return []
  throw error
}

/** What deployments have provisioned and is still there, `<type>: <deployment id>`, whatever the records say of them. Removes nothing. */
export const listProvisioned = async (app: Needs): Promise<string[]> => {
  const found: string[] = []
  for (const { type, sweep } of app.deployers.values())
    await sweep?.(async (deployment_id) => {
      found.push(`${type}: ${deployment_id}`)
      return true
    })
  return found
}

/**
 * Removes everything that deployments have provisioned, before the platform itself goes. May be interrupted and repeated. Fails with
 * `unavailable` (facts.left) when something is still there after five rounds.
 */
export const tearDownDeployments = async (app: Needs): Promise<{ removed: string[] }> => {
  const removed: string[] = []
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const left = await listProvisioned(app)
    if (left.length === 0) return { removed }
    for (const { type, sweep } of app.deployers.values())
      for (const one of (await sweep?.(async () => false).catch(whatPends)) ?? []) removed.push(`${type}: ${one}`)
    app.log.info('tear_down_round', { round, found: left.length, removed: removed.length })
  }
  const left = await listProvisioned(app)
  if (left.length === 0) return { removed }
  throw new PlatformError('unavailable', `Still there after ${MOST_ROUNDS} rounds: ${left.join(', ')}`, {
    facts: { left },
    retry_after_s: 60,
  })
}
