import type { Deployment } from '../../core/domain/deployment.ts'
import type { Place } from './parts.ts'

/** The alias that callers reach; its weights decide which revisions answer. */
export const LIVE = 'live'
/** A role's one inline policy. */
export const POLICY = 'model'
export const DEPLOYMENT_TAG = 'aideploy:deployment'
export const STAGE_TAG = 'aideploy:stage'
export const ORGANIZATION_TAG = 'aideploy:organization'

/** Everything of one deployment is named after its id, so that whatever a crash leaves is found again. At most 64 characters. */
export const functionPrefix = (stage: string): string => `aideploy-${stage}-m-`
export const functionName = (stage: string, deployment_id: string): string => functionPrefix(stage) + deployment_id
export const rolePath = (stage: string): string => `/aideploy/${stage}/`
export const logGroupPrefix = (stage: string): string => `/aideploy/${stage}/m/`
export const logGroupName = (stage: string, deployment_id: string): string => logGroupPrefix(stage) + deployment_id
/** Application Auto Scaling's name of the alias. */
export const scalableId = (stage: string, deployment_id: string): string =>
  `function:${functionName(stage, deployment_id)}:${LIVE}`

/** Serving forms lie in `deployments/<id>/<revision>/`. */
export const FILES = 'deployments/'
export const filesPrefix = (deployment_id: string): string => `${FILES}${deployment_id}/`
export const revisionPrefix = (deployment_id: string, revision: number): string => `${filesPrefix(deployment_id)}${revision}/`

export const roleArn = ({ partition, account, stage }: Pick<Place, 'partition' | 'account' | 'stage'>, id: string): string =>
  `arn:${partition}:iam::${account}:role${rolePath(stage)}${functionName(stage, id)}`

type Owned = Pick<Deployment, 'id' | 'organization_id'>

export const tagsOf = (stage: string, { id, organization_id }: Owned): Record<string, string> => ({
  [DEPLOYMENT_TAG]: id,
  [STAGE_TAG]: stage,
  [ORGANIZATION_TAG]: organization_id,
})

export const tagList = (stage: string, owned: Owned): { Key: string; Value: string }[] =>
  Object.entries(tagsOf(stage, owned)).map(([Key, Value]) => ({ Key, Value }))
