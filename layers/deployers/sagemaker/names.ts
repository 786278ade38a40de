import { createHash } from 'node:crypto'
import type { Deployment } from '../../core/domain/deployment.ts'
import type { Place } from './parts.ts'

/** A role's one inline policy. */
export const POLICY = 'model'
/** Without components an endpoint has a variant per revision; with them one that holds them all. */
export const variantOf = (revision: number): string => `r${revision}`
export const POOL_VARIANT = 'pool'

/**
 * Everything of one deployment begins with this, so that whatever a crash leaves is found again. SageMaker's names hold letters, digits
 * and single hyphens, at most 63: a stage of up to 12 characters leaves room for the longest suffix.
 */
export const stagePrefix = (stage: string): string => `aideploy-${stage}-s-`
export const baseName = (stage: string, deployment_id: string): string =>
  stagePrefix(stage) + deployment_id.replace(/^dep_/, '').replace(/[^A-Za-z0-9]+/g, '-')
export const endpointName = baseName
export const modelName = (stage: string, deployment_id: string, revision: number): string =>
  `${baseName(stage, deployment_id)}-r${revision}`
/** Named by its content: making the same one again is finding it. Six digits tell the few of one deployment apart. */
export const configName = (stage: string, deployment_id: string, content: object): string =>
  `${baseName(stage, deployment_id)}-${createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 6)}`
export const alarmName = (stage: string, deployment_id: string, what: 'errors' | 'backlog'): string =>
  `${baseName(stage, deployment_id)}-${what}`

/** The deployment a name belongs to; undefined when it is none of this stage's. Ids of deployments have no hyphen. */
export const deploymentOf = (stage: string, name: string): string | undefined => {
  if (!name.startsWith(stagePrefix(stage))) return undefined
  const id = /^[A-Za-z0-9]+/.exec(name.slice(stagePrefix(stage).length))?.[0]
  return id === undefined ? undefined : `dep_${id}`
}
/** Whether a name found by its beginning is this deployment's and not that of one whose id begins the same. */
export const isOf = (stage: string, deployment_id: string, name: string): boolean => {
  const base = baseName(stage, deployment_id)
  return name === base || name.startsWith(`${base}-`)
}

export const rolePath = (stage: string): string => `/aideploy/${stage}/`
export const roleArn = ({ partition, account, stage }: Place, deployment_id: string): string =>
  `arn:${partition}:iam::${account}:role${rolePath(stage)}${baseName(stage, deployment_id)}`
export const logGroupName = (stage: string, deployment_id: string): string =>
  `/aws/sagemaker/Endpoints/${baseName(stage, deployment_id)}`
/** Containers of a component log apart from those of its endpoint. */
export const componentLogGroup = (component: string): string => `/aws/sagemaker/InferenceComponents/${component}`
export const filesPrefix = (deployment_id: string): string => `deployments/${deployment_id}/`
export const archiveKey = (deployment_id: string, revision: number): string =>
  `${filesPrefix(deployment_id)}${revision}/model.tar.gz`
/** Requests that were queued and their results: below `scratch/`, where a rule of the bucket removes them after two days. */
export const asyncPrefix = (deployment_id: string): string => `scratch/async/${deployment_id}/`

export const tagList = (stage: string, { id, organization_id }: Pick<Deployment, 'id' | 'organization_id'>) => [
  { Key: 'aideploy:deployment', Value: id },
  { Key: 'aideploy:stage', Value: stage },
  { Key: 'aideploy:organization', Value: organization_id },
]
