import * as z from 'zod'
import type { Deployment } from '../domain/deployment.ts'
import type { App } from '../ports/app.ts'
import type { Deployer } from '../ports/deployer.ts'
import { ACTIVE, lookupPartition, parseDeployment, readAnyDeployment } from './deployment-records.ts'
import { everyStored } from './every-stored.ts'
import { targetForRelease, targetOf } from './resolve-model.ts'

type Needs = Pick<App, 'records' | 'deployers' | 'log' | 'now'>

/** One run's time, below the schedule's own limit; what is left is the next run's. */
const LIMIT_MS = 200_000
/** A deployment is written before anything of it is made, and found by its id a moment later. */
const YOUNG_MS = 3_600_000
const POSITION = { pk: 'schedule#reconcile-deployments', sk: 'position' }
const Position = z.object({ after: z.string() })

/**
 * Makes what deployers provisioned match what is on record. Primary course: the deployer of every settled active deployment looks for
 * drift and repairs it, then every deployer removes what is left of deployments that are gone. Bounded in time: the next run goes on
 * where this one stopped. One deployment's fault does not stop the others.
 */
export const reconcileDeployments = async (
  app: Needs,
): Promise<{ looked_at: number; repaired: number; removed: number; failed: number }> => {
  const summary = { looked_at: 0, repaired: 0, removed: 0, failed: 0 }
  const until_ms = app.now().getTime() + LIMIT_MS
  for await (const seen of fromPosition(app, until_ms)) {
    try {
      const repaired = await reconcile(app, seen)
      summary.looked_at += 1
      if (repaired.length === 0) continue
      summary.repaired += 1
      app.log.warn('deployment_repaired', { deployment_id: seen.id, repaired })
    } catch (error) {
      summary.failed += 1
      app.log.warn('not_reconciled', { deployment_id: seen.id, error: String(error) })
    }
  }
  for (const deployer of app.deployers.values()) {
    const { removed, failed } = await sweep(app, deployer)
    summary.removed += removed
    summary.failed += failed
  }
  return summary
}

/** Active deployments from where the last run stopped; remembers where this one does. */
async function* fromPosition(app: Needs, until_ms: number): AsyncGenerator<Deployment> {
  const stored = await app.records.get(POSITION)
  const from = stored ? Position.parse(stored.body).after : ''
  const query = { index: 'worklist', pk: ACTIVE, ...(from === '' ? {} : { from }) } as const
  let after = ''
  for await (const found of everyStored(app.records, query)) {
    if (app.now().getTime() >= until_ms) {
      after = found.worklist?.sk ?? ''
      break
    }
    yield parseDeployment(found)
  }
  if (after !== from) await app.records.write([{ put: { ...POSITION, body: { after } }, expect: 'any' }])
}

/** As on record now; once more when the record changed while its deployer was at work on the one before. */
const reconcile = async (app: Needs, seen: Deployment): Promise<string[]> => {
  const repaired: string[] = []
  for (let rounds = 0; rounds < 2; rounds += 1) {
    const current = await readAnyDeployment(app, seen)
    const deployer = current && app.deployers.get(current.deployment_type)
    if (current?.status !== 'active' || current.transition !== null || deployer?.reconcile === undefined) {
      if (rounds > 0 && current && deployer) await release(app, deployer, current)
      break
    }
    const found = await deployer.reconcile(await targetOf(app, current))
    repaired.push(...found)
    if (found.length === 0 || (await readAnyDeployment(app, seen))?.updated_at === current.updated_at) break
  }
  return repaired
}

/** It left the awake states while its deployer was at work on it: what was made for one that serves would be paid for by nobody's wish. */
const release = async (app: Needs, deployer: Deployer, deployment: Deployment): Promise<void> => {
  if (deployment.status === 'deleted') await deployer.undeploy(await targetForRelease(app, deployment))
  if (/^(hibernating|hibernated|stopped)$/.test(deployment.status))
    await deployer.hibernate(await targetForRelease(app, deployment))
}

const sweep = async (app: Needs, deployer: Deployer): Promise<{ removed: number; failed: number }> => {
  if (deployer.sweep === undefined) return { removed: 0, failed: 0 }
  try {
    const removed = await deployer.sweep((id) => isLive(app, id))
    if (removed.length > 0) app.log.warn('leftovers_removed', { deployment_type: deployer.type, removed })
    return { removed: removed.length, failed: 0 }
  } catch (error) {
    app.log.warn('not_swept', { deployment_type: deployer.type, error: String(error) })
    return { removed: 0, failed: 1 }
  }
}

/** On record under this id and not deleted, or so young that the index may not know it yet. */
const isLive = async (app: Needs, deployment_id: string): Promise<boolean> => {
  const made_ms = Number.parseInt(/^dep_([0-9a-f]{12})[0-9a-f]{20}$/.exec(deployment_id)?.[1] ?? '0', 16)
  if (app.now().getTime() - made_ms < YOUNG_MS) return true
  return (await app.records.query({ index: 'lookup', pk: lookupPartition(deployment_id), limit: 1 })).items.length > 0
}
