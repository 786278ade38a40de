import { notFound } from '../contract/errors.ts'
import { Deployment } from '../domain/deployment.ts'
import type { App } from '../ports/app.ts'
import type { Key, Operation, Stored } from '../ports/records.ts'
import { memoryOf, rememberOrganization } from './deployment-memory.ts'
import { organizationKey } from './record-keys.ts'

/** Which deployment: its organisation and its id. */
export interface DeploymentName {
  organization_id: string
  id: string
}

/** Seconds a deleted deployment stays on record, for its usage and events. */
export const TOMBSTONE_S = 30 * 86_400

export const deploymentKey = ({ organization_id, id }: DeploymentName): Key => organizationKey(organization_id, 'deployment', id)

/** Revisions of one deployment in order of their number: `revision#<deployment>#<six digits>`. */
export const revisionKey = (name: DeploymentName, revision: number): Key =>
  organizationKey(name.organization_id, 'revision', `${name.id}#${String(revision).padStart(6, '0')}`)

/** By id alone, for endpoints that need no token. */
export const lookupPartition = (deployment_id: string): string => `deployment#${deployment_id}`

/** Deployments of all organisations that are active and settled, and those with a change under way, the most overdue first. */
export const ACTIVE = 'deployments#active'
export const IN_FLIGHT = 'deployments#in-flight'

export const parseDeployment = (stored: Stored): Deployment => Deployment.parse(stored.body)

/** The put of a deployment with its index entries; a settled tombstone expires. */
export const putDeployment = (deployment: Deployment, version: string | undefined, now: Date): Operation => {
  const expires_at =
    deployment.status === 'deleted' && deployment.transition === null ? Math.ceil(now.getTime() / 1000) + TOMBSTONE_S : undefined
  const worklist = worklistOf(deployment)
  return {
    put: {
      ...deploymentKey(deployment),
      body: JSON.parse(JSON.stringify(deployment)),
      ...(deployment.status === 'deleted'
        ? {}
        : { lookup: { pk: lookupPartition(deployment.id), sk: `deployment#${deployment.id}` } }),
      ...(worklist === undefined ? {} : { worklist }),
      ...(expires_at === undefined ? {} : { expires_at }),
    },
    expect: version === undefined ? 'absent' : { version },
  }
}

const worklistOf = ({ transition, status, status_since, id }: Deployment): Key | undefined => {
  if (transition !== null) return { pk: IN_FLIGHT, sk: `${transition.until}#${id}` }
  return status === 'active' ? { pk: ACTIVE, sk: `${status_since}#${id}` } : undefined
}

/**
 * A deployment of the organisation. Fails with `not_found` for unknown, foreign and deleted ones alike; `or_deleting` admits one
 * that is deleted but still being released.
 */
export const readDeployment = async (
  app: Pick<App, 'records'>,
  name: DeploymentName,
  or_deleting = false,
): Promise<Deployment> => {
  const deployment = await readAnyDeployment(app, name)
  const is_gone = deployment?.status === 'deleted' && !(or_deleting && deployment.transition !== null)
  if (deployment === undefined || is_gone) throw notFound('Deployment', name.id)
  return deployment
}

/** The same with tombstones, undefined when there is none. */
export const readAnyDeployment = async (app: Pick<App, 'records'>, name: DeploymentName): Promise<Deployment | undefined> => {
  const stored = await app.records.get(deploymentKey(name))
  if (stored === undefined) return undefined
  const deployment = parseDeployment(stored)
  rememberOrganization(memoryOf(app), deployment)
  return deployment
}
