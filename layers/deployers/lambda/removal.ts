import { paginateDescribeScalableTargets } from '@aws-sdk/client-application-auto-scaling'
import { paginateDescribeLogGroups } from '@aws-sdk/client-cloudwatch-logs'
import { paginateListRoles } from '@aws-sdk/client-iam'
import { DeleteAliasCommand, DeleteFunctionCommand, paginateListFunctions } from '@aws-sdk/client-lambda'
import { paginateGetResources } from '@aws-sdk/client-resource-groups-tagging-api'
import { removeLogGroup } from './log-group.ts'
import { DEPLOYMENT_TAG, FILES, functionName, functionPrefix, LIVE, logGroupPrefix, rolePath, STAGE_TAG } from './names.ts'
import type { RemovalParts } from './parts.ts'
import { orAbsent, whenFree } from './patience.ts'
import { removeRole } from './role.ts'
import { releaseWarm } from './scaling.ts'
import { removeFiles } from './serving-files.ts'
import { removeUrl } from './url.ts'

/**
 * Takes everything of one deployment away, in an order that a repeat can follow from anywhere: who calls is cut off first, what is named
 * after the deployment goes last. What is gone already is fine.
 */
export const removeDeployment = async (parts: RemovalParts, deployment_id: string): Promise<void> => {
  const FunctionName = functionName(parts.stage, deployment_id)
  await removeUrl(parts, FunctionName)
  await releaseWarm(parts, deployment_id)
  await whenFree(parts, () => orAbsent(parts.lambda().send(new DeleteAliasCommand({ FunctionName, Name: LIVE }))))
  await whenFree(parts, () => orAbsent(parts.lambda().send(new DeleteFunctionCommand({ FunctionName }))))
  await removeRole(parts, deployment_id)
  await removeLogGroup(parts, deployment_id)
  await removeFiles(parts, deployment_id)
}

/** Where something of a deployment was found, by deployment id. */
export type Found = Map<string, string[]>

/**
 * Every deployment of the stage of which anything exists. By names first, because tags are indexed late; by tag as well, for what was
 * renamed or made by hand with the tag of a deployment.
 */
export const findDeployments = async (parts: RemovalParts): Promise<Found> => {
  const found: Found = new Map()
  const note = (id: string, what: string): void => {
    const known = found.get(id) ?? []
    if (!known.includes(what)) found.set(id, [...known, what])
  }
  const prefix = functionPrefix(parts.stage)
  const named = (name: string | undefined, before: string, what: string): void => {
    if (name?.startsWith(before) && name.length > before.length) note(name.slice(before.length), what)
  }
  for await (const page of paginateListFunctions({ client: parts.lambda() }, {}))
    for (const one of page.Functions ?? []) named(one.FunctionName, prefix, 'function')
  for await (const page of paginateListRoles({ client: parts.iam() }, { PathPrefix: rolePath(parts.stage) }))
    for (const one of page.Roles ?? []) named(one.RoleName, prefix, 'role')
  const groups = { logGroupNamePrefix: logGroupPrefix(parts.stage) }
  for await (const page of paginateDescribeLogGroups({ client: parts.logs() }, groups))
    for (const one of page.logGroups ?? []) named(one.logGroupName, logGroupPrefix(parts.stage), 'log group')
  for await (const page of paginateDescribeScalableTargets({ client: parts.scaling() }, { ServiceNamespace: 'lambda' }))
    for (const one of page.ScalableTargets ?? [])
      named(one.ResourceId?.replace(/:[^:]*$/, ''), `function:${prefix}`, 'scalable target')
  for (const key of await parts.artifacts.list(FILES)) note(key.slice(FILES.length).split('/')[0] ?? '', 'files')
  for (const id of await taggedDeployments(parts)) note(id, 'tag')
  return found
}

/** A resource that has just been deleted may be listed for a while; names decide what is removed. */
const taggedDeployments = async (parts: RemovalParts): Promise<string[]> => {
  const ids: string[] = []
  const wanted = {
    TagFilters: [{ Key: DEPLOYMENT_TAG }, { Key: STAGE_TAG, Values: [parts.stage] }],
    ResourceTypeFilters: ['lambda:function', 'logs:log-group'],
  }
  for await (const page of paginateGetResources({ client: parts.tagging() }, wanted))
    for (const { Tags = [] } of page.ResourceTagMappingList ?? []) {
      const id = Tags.find(({ Key }) => Key === DEPLOYMENT_TAG)?.Value
      if (id) ids.push(id)
    }
  return ids
}

/** Removes deployments' parts for every id that `isWanted` does not claim; one that resists is told and left for the next run. */
export const removeUnwanted = async (
  parts: RemovalParts,
  isWanted: (deployment_id: string) => Promise<boolean>,
): Promise<{ removed: string[]; failed: string[] }> => {
  const removed: string[] = []
  const failed: string[] = []
  for (const [id, where] of await findDeployments(parts)) {
    try {
      if (await isWanted(id)) continue
      await removeDeployment(parts, id)
      removed.push(`${id}: ${where.join(', ')}`)
    } catch (error) {
      failed.push(`${id}: ${error instanceof Error ? error.message : String(error)}`)
      parts.log.warn('not_swept', { deployment_id: id, error: String(error) })
    }
  }
  return { removed, failed }
}
