import { PlatformError } from '../contract/errors.ts'
import type { Deployment } from '../domain/deployment.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { beginRevision, type NextRevision, type RevisionApp } from './begin-revision.ts'
import { assertSettings, deployerOf } from './check-deployable.ts'
import { findModel } from './find-model.ts'
import { readRevision, specOf } from './revisions.ts'

/**
 * Makes an earlier revision the newest one: its spec and the very file it served, under the present name. Answers and failures as
 * `beginRevision`; `not_found` for a revision that never was or a model that is gone.
 */
export const rollbackDeployment = (
  app: RevisionApp,
  principal: Pick<Principal, 'organization_id' | 'id'>,
  deployment_id: string,
  revision: number,
  wait_ms?: number,
) => beginRevision(app, principal, deployment_id, (current) => restored(app, current, revision), wait_ms)

const restored = async (app: Pick<App, 'records' | 'deployers'>, current: Deployment, number: number): Promise<NextRevision> => {
  const old = await readRevision(app, current, number)
  if (old === undefined) {
    throw new PlatformError('not_found', `Deployment ${current.id} has no revision ${number}; its newest is ${current.revision}`)
  }
  assertSettings(deployerOf(app, current.deployment_type), old)
  await findModel(app, current.organization_id, old.original_model_id)
  const { resolved_model_id, original_model_id } = old
  return { name: current.name, spec: specOf(old), resolved_model_id, original_model_id, rolled_back_from: number }
}
