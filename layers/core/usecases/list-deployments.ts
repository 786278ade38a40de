import type { QueryOf } from '../contract/routes.ts'
import { Deployment, type DeploymentReply, deploymentReply } from '../domain/deployment.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { type ListReply, listDocuments } from './list-documents.ts'

/** Deployments of the organisation, newest first, without deleted ones; `name`, `status` and `deployment_type` narrow it. */
export const listDeployments = (
  app: Pick<App, 'records' | 'config'>,
  { organization_id }: Pick<Principal, 'organization_id'>,
  query: QueryOf<'list-deployments'>,
): Promise<ListReply<DeploymentReply>> => {
  const { name, status, deployment_type } = query
  return listDocuments(app, {
    organization_id,
    kind: 'deployment',
    schema: Deployment,
    query,
    filter: { name, status, deployment_type },
    visible: (deployment) => deployment.status !== 'deleted',
    reply: (deployment) => deploymentReply(deployment, app.config),
    path: '/deployments',
  })
}
