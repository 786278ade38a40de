import { Revision } from '../contract/routes/deployments.ts'
import type { Deployment, DeploymentSpec } from '../domain/deployment.ts'
import type { App } from '../ports/app.ts'
import type { Operation } from '../ports/records.ts'
import { type DeploymentName, revisionKey } from './deployment-records.ts'
import { releaseModel } from './model-use.ts'
import { organizationPartition } from './record-keys.ts'
import { retryConflicts } from './retry-conflicts.ts'

const MOST_PER_WRITE = 25

const rangeOf = ({ organization_id, id }: DeploymentName) => ({
  pk: organizationPartition(organization_id),
  from: `revision#${id}#`,
  to: `revision#${id}#~`,
})

/** Newest first, at most `limit` (1–1000). */
export const readRevisions = async (app: Pick<App, 'records'>, name: DeploymentName, limit = 1000): Promise<Revision[]> => {
  const { items } = await app.records.query({ ...rangeOf(name), order: 'desc', limit })
  return items.map((item) => Revision.parse(item.body))
}

export const readRevision = async (
  app: Pick<App, 'records'>,
  name: DeploymentName,
  revision: number,
): Promise<Revision | undefined> => {
  const stored = await app.records.get(revisionKey(name, revision))
  return stored === undefined ? undefined : Revision.parse(stored.body)
}

export const putRevision = (name: DeploymentName, revision: Revision): Operation => ({
  put: { ...revisionKey(name, revision.revision), body: JSON.parse(JSON.stringify(revision)) },
  expect: 'absent',
})

/** Operations that note when a revision first came up; none where that is known, or the revision is gone. */
export const noteUp = async (app: Pick<App, 'records' | 'now'>, name: DeploymentName, revision: number): Promise<Operation[]> => {
  const stored = await app.records.get(revisionKey(name, revision))
  if (stored === undefined || stored.body.up_at !== undefined) return []
  const body = { ...stored.body, up_at: app.now().toISOString() }
  return [{ put: { ...revisionKey(name, revision), body }, expect: { version: stored.version } }]
}

/** The part of a revision, or of a deployment, that a deployer is told. */
export const specOf = (from: DeploymentSpec): DeploymentSpec => ({
  model_id: from.model_id,
  model_type: from.model_type,
  resource_requirements: from.resource_requirements,
  scaling_policy: from.scaling_policy,
  cost_optimization_policy: from.cost_optimization_policy,
  endpoint_auth: from.endpoint_auth,
  metadata: from.metadata,
  record_requests: from.record_requests ?? null,
})

/** The deployment as it is once the revision is up. */
export const withRevision = (deployment: Deployment, revision: Revision): Deployment => ({
  ...deployment,
  ...specOf(revision),
  name: revision.name,
  revision: revision.revision,
  resolved_model_id: revision.resolved_model_id,
  original_model_id: revision.original_model_id,
})

/** Operations that release the model of a revision that will not be in force, unless the one in force serves it too. */
export const releasePending = async (
  app: Pick<App, 'records'>,
  deployment: Deployment,
  revision: number,
): Promise<Operation[]> => {
  const pending = await readRevision(app, deployment, revision)
  if (pending === undefined || pending.original_model_id === deployment.original_model_id) return []
  return releaseModel(app, deployment.organization_id, pending.original_model_id, deployment.id)
}

/**
 * Lets go of what a deleted deployment held: every claim on a model, then its revisions. Each write stands alone and repeating all of
 * it is harmless, so that a crash in between costs nothing.
 */
export const releaseHoldings = async (app: Pick<App, 'records'>, deployment: Deployment): Promise<void> => {
  const revisions = await readRevisions(app, deployment)
  const originals = new Set(revisions.map((revision) => revision.original_model_id))
  if (deployment.original_model_id !== undefined) originals.add(deployment.original_model_id)
  for (const original of originals) {
    await retryConflicts(async () => {
      const operations = await releaseModel(app, deployment.organization_id, original, deployment.id)
      if (operations.length > 0) await app.records.write(operations)
    })
  }
  await forgetRevisions(app, deployment)
}

const forgetRevisions = async (app: Pick<App, 'records'>, name: DeploymentName): Promise<void> => {
  for (;;) {
    const { items } = await app.records.query({ ...rangeOf(name), limit: MOST_PER_WRITE })
    if (items.length === 0) return
    await app.records.write(items.map(({ pk, sk }) => ({ remove: { pk, sk }, expect: 'any' })))
  }
}
