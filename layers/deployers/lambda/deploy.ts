import { PlatformError } from '../../core/contract/errors.ts'
import type { JsonObject } from '../../core/domain/json.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import { createAlias, endShares, readAlias } from './alias.ts'
import { ensureVersion } from './function.ts'
import { ensureLogGroup } from './log-group.ts'
import { functionName } from './names.ts'
import type { LambdaParts } from './parts.ts'
import { probe } from './probe.ts'
import { ensureRole } from './role.ts'
import { rollOut } from './rollout.ts'
import { canReserve, keepWarm, provisionedNow, releaseWarm, reserve } from './scaling.ts'
import { ensureServingFiles, removeFiles, removeOldFiles } from './serving-files.ts'
import { lambdaSize } from './settings.ts'
import type { LambdaState } from './state.ts'
import { ensureUrl } from './url.ts'
import { listVersions, removeVersion, revisionsToKeep } from './versions.ts'
import { wantedFunction } from './wanted.ts'

/** A new revision is watched for so long before it takes all requests. */
const rollout_s = 60

/**
 * Brings one revision up. Primary course: files, log group, role, function, version; the version loads its model before any caller reaches
 * it, then takes over from the one that serves. Every step looks first, so that a repeat goes on where the last run ended.
 */
export const deployRevision = async (parts: LambdaParts, target: DeployTarget): Promise<JsonObject> => {
  const { deployment } = target
  const name = functionName(parts.stage, deployment.id)
  const size = lambdaSize(target)
  await refuseLate(parts, target, name)
  const served = await ensureServingFiles(parts, target)
  await ensureLogGroup(parts, deployment)
  const role = await ensureRole(parts, deployment)
  const reserves = await canReserve(parts, deployment.id, deployment.scaling_policy.max_instances)
  const wanted = wantedFunction(parts, target, { size, served, role_arn: role.arn, keeps_admission: !reserves })
  const version = await ensureVersion(parts, wanted)
  await makeRoom(parts, target, name)
  const reserved = await reserve(parts, deployment.id, reserves ? deployment.scaling_policy.max_instances : undefined)
  const wake_ms = await probed(parts, target, name, version)
  const rests = willRest(target)
  const endpoint = await putInFront(parts, target, name, version, rests ? 0 : (size.rollout_s ?? parts.rollout_s ?? rollout_s))
  await (rests ? releaseWarm(parts, deployment.id) : keepWarm(parts, deployment.id, deployment.scaling_policy))
  await removeOld(parts, target, name, version)
  const by_lambda = reserves && reserved
  return {
    ...{ endpoint, function_name: name, version, revision: deployment.revision },
    ...{ architecture: size.architecture, memory_mb: size.memory_mb, ephemeral_mb: size.ephemeral_mb },
    provisioned: deployment.scaling_policy.min_instances,
    admission: by_lambda ? 'reserved_concurrency' : 'platform',
    ...{ serving_bytes: served.size_bytes, wake_ms, runtime_version: parts.runtime.version },
    notes: by_lambda ? [] : [admissionNote(deployment.scaling_policy.max_instances)],
  } satisfies LambdaState
}

/** A reservation below what is warm is refused: what a former revision kept warm goes first. */
const makeRoom = async (parts: LambdaParts, { deployment }: DeployTarget, name: string): Promise<void> => {
  const warm = await provisionedNow(parts, deployment.id)
  if (warm === undefined || warm.requested <= deployment.scaling_policy.max_instances) return
  await endShares(parts, name)
  await releaseWarm(parts, deployment.id)
}

/** One that sleeps or is stopped takes the revision on and stays as it is: nobody calls, and warm instances would only cost. */
const willRest = ({ deployment: { transition } }: DeployTarget): boolean =>
  transition?.from === 'hibernated' || transition?.from === 'stopped'

const admissionNote = (max_instances: number): string =>
  `max_instances ${max_instances} is not reserved: the account's concurrency quota has no room (100 must stay free). Calls through the platform's path are admitted ${max_instances} at a time by each of its processes; direct calls are limited by the account's quota alone`

/** A revision that comes after its successor is refused before it costs anything. */
const refuseLate = async (parts: LambdaParts, { deployment }: DeployTarget, name: string): Promise<void> => {
  const alias = await readAlias(parts, name)
  const live = (await listVersions(parts, name)).find(({ version }) => version === alias?.version)
  if (live && live.revision > deployment.revision)
    throw new PlatformError(
      'conflict',
      `Revision ${live.revision} of deployment ${deployment.id} is in force; revision ${deployment.revision} came too late`,
    )
}

/** A version that does not load its model goes again, with its files. */
const probed = async (parts: LambdaParts, { deployment }: DeployTarget, name: string, version: string): Promise<number> => {
  if ((await readAlias(parts, name))?.version === version) return 0
  try {
    return await probe(parts, name, version)
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'model_error') await discard(parts, deployment, name, version)
    throw error
  }
}

const discard = async (
  parts: LambdaParts,
  deployment: DeployTarget['deployment'],
  name: string,
  version: string,
): Promise<void> => {
  try {
    await removeVersion(parts, name, version)
    await removeFiles(parts, deployment.id, deployment.revision)
  } catch (error) {
    parts.log.warn('version_not_removed', { deployment_id: deployment.id, version, error: String(error) })
  }
}

/** The alias and its address; the first version gets them at once, a later one by and by. */
const putInFront = async (
  parts: LambdaParts,
  { deployment }: DeployTarget,
  name: string,
  version: string,
  seconds: number,
): Promise<string> => {
  const before = (await readAlias(parts, name)) ?? (await createAlias(parts, name, version))
  const { endpoint } = await ensureUrl(parts, name)
  try {
    await rollOut(parts, name, before, version, seconds)
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'model_error') await discard(parts, deployment, name, version)
    throw error
  }
  return endpoint
}

/** Best effort: what stays costs cents, and the next revision tries again. */
const removeOld = async (parts: LambdaParts, { deployment }: DeployTarget, name: string, version: string): Promise<void> => {
  try {
    const versions = await listVersions(parts, name)
    const kept = revisionsToKeep(versions, deployment.revision)
    const newest = new Set([...kept].map((revision) => versions.findLast((one) => one.revision === revision)?.version))
    for (const one of versions)
      if (one.version !== version && one.revision <= deployment.revision && !newest.has(one.version))
        await removeVersion(parts, name, one.version)
    await removeOldFiles(parts, deployment.id, deployment.revision, kept)
  } catch (error) {
    parts.log.warn('old_versions_not_removed', { deployment_id: deployment.id, error: String(error) })
  }
}
