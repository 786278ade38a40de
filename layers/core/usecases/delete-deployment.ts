import type { Principal } from '../domain/principal.ts'
import type { DriveApp } from './drive-deployment.ts'
import { transitionDeployment } from './transition-deployment.ts'

/** Deletes a deployment Answers once it is done, or 202 after 20 s. */
export const deleteDeployment = (app: DriveApp, principal: Pick<Principal, 'organization_id'>, deployment_id: string) =>
  transitionDeployment(app, { organization_id: principal.organization_id, id: deployment_id }, 'delete')
