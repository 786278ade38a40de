import { PlatformError } from '../../core/contract/errors.ts'
import type { Canary } from '../../core/domain/deployment.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import { type Alias, pointAlias, readAlias, sameAlias } from './alias.ts'
import { ensureLogGroup } from './log-group.ts'
import { functionName } from './names.ts'
import type { LambdaParts } from './parts.ts'
import { ensureRole } from './role.ts'
import { keepWarm, provisionedNow, releaseWarm, reserve, reservedNow, scaledBetween, utilizationTarget } from './scaling.ts'
import { stateOf } from './state.ts'
import { ensureUrl } from './url.ts'
import { listVersions, type PublishedVersion, versionOf } from './versions.ts'

/** Where the alias has to point for a revision and its canary. Fails with `not_found` when a revision has no version any more. */
export const aliasFor = (
  versions: readonly PublishedVersion[],
  revision: number,
  canary: Canary | null | undefined,
): Pick<Alias, 'version' | 'weights'> => {
  const published = (wanted: number): string => {
    const found = versionOf(versions, wanted)
    if (found) return found.version
    const facts = { available: [...new Set(versions.map((one) => one.revision))] }
    throw new PlatformError('not_found', `Revision ${wanted} is not published any more`, { facts })
  }
  const version = published(revision)
  return { version, weights: canary ? { [published(canary.revision)]: canary.percent / 100 } : {} }
}

/**
 * Makes what AWS has match what is on record, for a deployment that was up; answers what was repaired. A function or an alias that is
 * gone cannot be had again under its address: that is told, and only a new revision helps.
 */
export const reconcileDeployment = async (parts: LambdaParts, { deployment }: DeployTarget): Promise<string[]> => {
  const name = functionName(parts.stage, deployment.id)
  const state = stateOf(deployment.deployer_state)
  if (state === undefined) return []
  const versions = await listVersions(parts, name)
  const alias = await readAlias(parts, name)
  // Nothing is made beside a function that is gone: it may be gone on purpose, before the platform goes.
  if (versions.length === 0 || alias === undefined)
    return [`${alias ? 'version' : 'function or alias'} is gone: only a new revision brings the deployment up again`]
  const repaired = [...(await ensureLogGroup(parts, deployment)), ...(await ensureRole(parts, deployment)).repaired]
  const { endpoint, repaired: address } = await ensureUrl(parts, name)
  if (endpoint !== state.endpoint) address.push(`address is ${endpoint} now, on record is ${state.endpoint}`)
  repaired.push(...address)
  const wanted = aliasFor(versions, deployment.revision, deployment.canary)
  if (!sameAlias(alias, wanted)) {
    await pointAlias(parts, name, wanted, alias)
    repaired.push(`alias pointed at version ${wanted.version} instead of ${alias.version}`)
  }
  return [...repaired, ...(await reconcileScaling(parts, deployment, state.admission === 'reserved_concurrency'))]
}

const reconcileScaling = async (
  parts: LambdaParts,
  deployment: DeployTarget['deployment'],
  reserves: boolean,
): Promise<string[]> => {
  const { id, scaling_policy: policy, status } = deployment
  const repaired: string[] = []
  const wantsWarm = status === 'active' && policy.min_instances > 0
  const [scaled, warm] = [await scaledBetween(parts, id), await provisionedNow(parts, id)]
  const asWanted =
    scaled?.min === policy.min_instances &&
    scaled.max === policy.max_instances &&
    scaled.utilization === utilizationTarget(policy.target_cpu_utilization) &&
    (warm?.requested ?? 0) >= policy.min_instances &&
    warm?.failed === undefined
  if (wantsWarm && !asWanted && !deployment.canary) {
    await keepWarm(parts, id, policy)
    repaired.push(`${policy.min_instances} instances kept warm`)
  }
  if (!wantsWarm && (scaled || warm)) {
    await releaseWarm(parts, id)
    repaired.push('warm instances released')
  }
  const before = await reservedNow(parts, functionName(parts.stage, id))
  const limit = status === 'stopped' ? 0 : reserves ? policy.max_instances : undefined
  if (before === limit) return repaired
  if (await reserve(parts, id, limit)) return [...repaired, `reserved concurrency set to ${limit ?? 'none'}`]
  return before === undefined ? repaired : [...repaired, `reserved concurrency set to none: no room for ${limit}`]
}
