import {
  DeleteEndpointConfigCommand,
  DeleteModelCommand,
  paginateListEndpointConfigs,
  paginateListEndpoints,
  paginateListModels,
} from '@aws-sdk/client-sagemaker'
import { awsFailure } from '../../aws/failure.ts'
import { removeComponents } from './components.ts'
import { deleteEndpoint, describeEndpoint } from './endpoint.ts'
import { removeGroup, removeLogGroup } from './log-group.ts'
import { asyncPrefix, baseName, componentLogGroup, deploymentOf, filesPrefix, isOf, POOL_VARIANT, stagePrefix } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import { orAbsent } from './patience.ts'
import { removeRole } from './role.ts'
import { removeAlarms, removeScaling } from './scaling.ts'

/** Revisions whose models are kept for a canary or a rollback: they cost nothing but their archive. */
const KEPT_REVISIONS = 3

const collected = async <Page>(pages: AsyncIterable<Page>, names: (page: Page) => (string | undefined)[]): Promise<string[]> => {
  const found: string[] = []
  try {
    for await (const page of pages) found.push(...names(page).flatMap((name) => name ?? []))
  } catch (error) {
    throw awsFailure(error, 'Listing what SageMaker has')
  }
  return found
}

const configsLike = ({ clients }: SagemakerParts, NameContains: string): Promise<string[]> =>
  collected(paginateListEndpointConfigs({ client: clients.sagemaker() }, { NameContains }), (page) =>
    (page.EndpointConfigs ?? []).map(({ EndpointConfigName }) => EndpointConfigName),
  )
const modelsLike = ({ clients }: SagemakerParts, NameContains: string): Promise<string[]> =>
  collected(paginateListModels({ client: clients.sagemaker() }, { NameContains }), (page) =>
    (page.Models ?? []).map(({ ModelName }) => ModelName),
  )
const endpointsLike = ({ clients }: SagemakerParts, NameContains: string): Promise<string[]> =>
  collected(paginateListEndpoints({ client: clients.sagemaker() }, { NameContains }), (page) =>
    (page.Endpoints ?? []).map(({ EndpointName }) => EndpointName),
  )

/** Lets go of the scaling of whatever variants the endpoint has, then of its components with theirs, then of it. */
export const removeEndpoint = async (parts: SagemakerParts, deployment_id: string): Promise<boolean> => {
  const found = await describeEndpoint(parts, deployment_id)
  if (found === undefined) return false
  for (const { VariantName = '' } of found.ProductionVariants ?? []) {
    const revision = Number(/^r(\d+)$/.exec(VariantName)?.[1] ?? Number.NaN)
    if (Number.isInteger(revision)) await removeScaling(parts, { id: deployment_id, organization_id: '', revision }, false)
  }
  if (found.ProductionVariants?.some(({ VariantName }) => VariantName === POOL_VARIANT))
    await removeComponents(parts, deployment_id)
  return deleteEndpoint(parts, deployment_id)
}

/** With the log of the component that had its name; the log first, because the model is what tells that there may be one. */
const removeModel = async (parts: SagemakerParts, ModelName: string): Promise<void> => {
  await removeGroup(parts, componentLogGroup(ModelName))
  await orAbsent(parts.clients.sagemaker().send(new DeleteModelCommand({ ModelName })), 'Removing a model')
}

/** Removes everything of a deployment; what is gone already is fine. Answers what was there. */
export const removeDeployment = async (parts: SagemakerParts, deployment_id: string): Promise<string[]> => {
  const sagemaker = parts.clients.sagemaker()
  const base = baseName(parts.stage, deployment_id)
  const mine = (name: string): boolean => isOf(parts.stage, deployment_id, name)
  const removed: string[] = []
  if (await removeEndpoint(parts, deployment_id)) removed.push(`endpoint ${base}`)
  removed.push(...(await removeAlarms(parts, deployment_id)).map((name) => `alarm ${name}`))
  for (const EndpointConfigName of (await configsLike(parts, base)).filter(mine)) {
    await orAbsent(sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName })), 'Removing a configuration')
    removed.push(`configuration ${EndpointConfigName}`)
  }
  for (const ModelName of (await modelsLike(parts, base)).filter(mine)) {
    await removeModel(parts, ModelName)
    removed.push(`model ${ModelName}`)
  }
  if (await removeLogGroup(parts, deployment_id)) removed.push('its log group')
  for (const prefix of [filesPrefix(deployment_id), asyncPrefix(deployment_id)])
    for (const key of await parts.artifacts.list(prefix)) await parts.artifacts.remove(key)
  // Last: whoever finds the role knows that something may be left.
  if (await removeRole(parts, deployment_id)) removed.push(`role ${base}`)
  return removed
}

/** Configurations that are not in force and models of revisions long past. */
export const removeOld = async (parts: SagemakerParts, deployment_id: string, kept: { config: string; revision: number }) => {
  const sagemaker = parts.clients.sagemaker()
  const base = baseName(parts.stage, deployment_id)
  for (const EndpointConfigName of await configsLike(parts, base))
    if (EndpointConfigName !== kept.config && isOf(parts.stage, deployment_id, EndpointConfigName))
      await orAbsent(sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName })), 'Removing a configuration')
  for (const ModelName of await modelsLike(parts, base)) {
    const revision = Number(/-r(\d+)$/.exec(ModelName)?.[1] ?? Number.NaN)
    if (!isOf(parts.stage, deployment_id, ModelName) || !(revision <= kept.revision - KEPT_REVISIONS)) continue
    await removeModel(parts, ModelName)
    const prefix = `${filesPrefix(deployment_id)}${revision}/`
    for (const key of await parts.artifacts.list(prefix)) await parts.artifacts.remove(key)
  }
}

/** Deployments of the stage that SageMaker has something of and nobody knows; answers what was removed of them. */
export const sweepDeployments = async (
  parts: SagemakerParts,
  isLive: (deployment_id: string) => Promise<boolean>,
): Promise<string[]> => {
  const like = stagePrefix(parts.stage)
  const names = [...(await endpointsLike(parts, like)), ...(await configsLike(parts, like)), ...(await modelsLike(parts, like))]
  const ids = new Set(names.flatMap((name) => deploymentOf(parts.stage, name) ?? []))
  const removed: string[] = []
  for (const id of ids) if (!(await isLive(id))) removed.push(...(await removeDeployment(parts, id)))
  return removed
}
