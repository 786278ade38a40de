import type { Principal } from '../domain/principal.ts'
import type { DriveApp } from './drive-deployment.ts'
import { transitionDeployment } from './transition-deployment.ts'

/** Puts a deployment to sleep; the next request wakes it. Answers once it is done, or 202 after 20 s. */
export const hibernateDeployment = (app: DriveApp, principal: Pick<Principal, 'organization_id'>, deployment_id: string) =>
  transitionDeployment(app, { organization_id: principal.organization_id, id: deployment_id }, 'hibernate')
