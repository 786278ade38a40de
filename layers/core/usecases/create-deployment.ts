import type { CreateDeployment } from '../contract/routes/deployments.ts'
import { type Deployment, type DeploymentReply, deploymentReply } from '../domain/deployment.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { type NextRevision, type RevisionApp, revisionOf, startProvisioning } from './begin-revision.ts'
import { assertFramework, assertSettings, deployerOf } from './check-deployable.ts'
import { countChange } from './count-by-status.ts'
import { putDeployment } from './deployment-records.ts'
import { claimModel } from './model-use.ts'
import { resolveModel } from './resolve-model.ts'
import { retryConflicts } from './retry-conflicts.ts'
import { putRevision, specOf } from './revisions.ts'

const START_LIMIT_S = 30

/**
 * Deploys a model. Primary course: the type is available, the model exists, the deployer can serve it with these settings; the
 * deployment, its first revision, its claim on the model and its count are one transaction; the pipeline then brings it up.
 * Answers at once, `creating` and without an endpoint. Fails with `unavailable_here`, `invalid_request`, `not_found`, `conflict`
 * (inactive model), `not_optimized` or `framework_unsupported`.
 */
export const createDeployment = async (
  app: RevisionApp,
  principal: Pick<Principal, 'organization_id' | 'id'>,
  wanted: CreateDeployment,
): Promise<DeploymentReply> => {
  const deployer = deployerOf(app, wanted.deployment_type)
  assertSettings(deployer, wanted)
  const { original, ...ids } = await resolveModel(app, principal.organization_id, wanted)
  assertFramework(deployer, original)
  const spec = specOf(wanted)
  const deployment = newDeployment(app, principal.organization_id, wanted, {
    name: wanted.name,
    spec,
    ...ids,
    rolled_back_from: null,
  })
  const revision = revisionOf(app, principal, 1, { name: wanted.name, spec, ...ids, rolled_back_from: null })
  const { organization_id, id, status } = deployment
  await retryConflicts(async () => {
    const counts = await countChange(app, { organization_id, kind: 'deployment', id, to: status })
    const claim = await claimModel(app, organization_id, ids.original_model_id, id)
    await app.records.write([
      putDeployment(deployment, undefined, app.now()),
      putRevision(deployment, revision),
      ...counts,
      ...claim,
    ])
  })
  await startProvisioning(app, deployment)
  return deploymentReply(deployment, app.config)
}

const newDeployment = (
  app: Pick<App, 'now' | 'newId'>,
  organization_id: string,
  { deployment_type }: CreateDeployment,
  first: NextRevision,
): Deployment => {
  const now = app.now()
  const at = now.toISOString()
  return {
    ...first.spec,
    id: app.newId('dep'),
    organization_id,
    name: first.name,
    deployment_type,
    resolved_model_id: first.resolved_model_id,
    original_model_id: first.original_model_id,
    status: 'creating',
    status_since: at,
    status_reason: null,
    endpoint: null,
    revision: 1,
    created_at: at,
    updated_at: at,
    deployer_state: {},
    transition: {
      id: app.newId('trn'),
      until: new Date(now.getTime() + START_LIMIT_S * 1000).toISOString(),
      from: 'creating',
      revision: 1,
    },
  }
}
