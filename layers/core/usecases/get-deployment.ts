import { type DeploymentReply, deploymentReply } from '../domain/deployment.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { readDeployment } from './deployment-records.ts'

/** One deployment of the organisation. Fails with `not_found`. */
export const getDeployment = async (
  app: Pick<App, 'records' | 'config'>,
  { organization_id }: Pick<Principal, 'organization_id'>,
  id: string,
): Promise<DeploymentReply> => deploymentReply(await readDeployment(app, { organization_id, id }), app.config)
