import { type DeploymentDetail, deploymentReply } from '../domain/deployment.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { readDeployment } from './deployment-records.ts'
import { targetForRelease } from './resolve-model.ts'

/** One deployment of the organisation, with its ladder from warm to cold where its deployer knows one. Fails with `not_found`. */
export const getDeployment = async (
  app: Pick<App, 'records' | 'config' | 'deployers' | 'prices'>,
  { organization_id }: Pick<Principal, 'organization_id'>,
  id: string,
): Promise<DeploymentDetail> => {
  const deployment = await readDeployment(app, { organization_id, id })
  const reply = deploymentReply(deployment, app.config)
  const deployer = app.deployers.get(deployment.deployment_type)
  if (deployer?.ladder === undefined) return reply
  const hibernation_ladder = deployer.ladder(await targetForRelease(app, deployment), app.prices)
  return { ...reply, hibernation_ladder }
}
