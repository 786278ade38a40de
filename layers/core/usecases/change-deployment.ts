import { notFound } from '../contract/errors.ts'
import { followAwake } from '../domain/awake-span.ts'
import type { Deployment } from '../domain/deployment.ts'
import type { App } from '../ports/app.ts'
import type { Operation } from '../ports/records.ts'
import { countChange } from './count-by-status.ts'
import { memoryOf, rememberOrganization, whileWriting } from './deployment-memory.ts'
import { type DeploymentName, deploymentKey, parseDeployment, putDeployment } from './deployment-records.ts'
import { retryConflicts } from './retry-conflicts.ts'
import { putAwakeSpan } from './standing-rows.ts'

/** What to store instead and what else belongs to the same transaction; undefined changes nothing. */
export type Decision = { next: Deployment; operations?: Operation[] } | undefined

/**
 * The one way a deployment changes. Primary course: read, let `decide` judge what was read, write on the condition that nobody wrote
 * in between, counting the status in the same transaction; on a conflict read and judge again. `decide` may throw to refuse.
 * Fails with `not_found` when there is no such deployment; tombstones are given to `decide` like any other state.
 */
export const changeDeployment = (
  app: Pick<App, 'records' | 'now'>,
  name: DeploymentName,
  decide: (current: Deployment) => Decision | Promise<Decision>,
): Promise<{ deployment: Deployment; changed: boolean }> =>
  retryConflicts(async () => {
    const stored = await app.records.get(deploymentKey(name))
    if (stored === undefined) throw notFound('Deployment', name.id)
    const current = parseDeployment(stored)
    rememberOrganization(memoryOf(app), current)
    const decision = await decide(current)
    if (decision === undefined) return { deployment: current, changed: false }
    const counts = await countChange(app, {
      organization_id: name.organization_id,
      kind: 'deployment',
      id: name.id,
      from: counted(current),
      to: counted(decision.next),
    })
    const { next, ended } = followAwake(current, decision.next, app.now())
    const operations = [
      putDeployment(next, stored.version, app.now()),
      ...counts,
      ...(decision.operations ?? []),
      ...(ended ? [putAwakeSpan(ended)] : []),
    ]
    await whileWriting(memoryOf(app), name.id, () => app.records.write(operations))
    return { deployment: next, changed: true }
  })

/** Deleted deployments are not counted. */
const counted = ({ status }: Deployment): string | undefined => (status === 'deleted' ? undefined : status)

/** The same deployment in another state, as of now. */
export const inState = (
  app: Pick<App, 'now'>,
  deployment: Deployment,
  change: Partial<Deployment> & Pick<Deployment, 'status' | 'status_reason' | 'transition'>,
): Deployment => {
  const now = app.now().toISOString()
  const status_since = change.status === deployment.status ? deployment.status_since : now
  return { ...deployment, status_since, updated_at: now, ...change }
}
