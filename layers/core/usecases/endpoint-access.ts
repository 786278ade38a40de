import type { Deployment } from '../domain/deployment.ts'
import type { App } from '../ports/app.ts'
import { findCachedDeployment } from './find-cached-deployment.ts'

/** Who may call a deployment's endpoint; undefined when there is no such deployment (any more). At most a second old. */
export const endpointAccess = async (
  app: Pick<App, 'records' | 'now'>,
  deployment_id: string,
): Promise<Pick<Deployment, 'organization_id' | 'endpoint_auth'> | undefined> => {
  const { deployment } = await findCachedDeployment(app, deployment_id)
  if (deployment === undefined || deployment.status === 'deleted') return undefined
  return { organization_id: deployment.organization_id, endpoint_auth: deployment.endpoint_auth }
}
