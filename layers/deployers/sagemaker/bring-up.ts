import type { Machine } from '../../core/domain/comparison.ts'
import type { JsonObject } from '../../core/domain/json.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import { ensureComponent, removeComponents } from './components.ts'
import { configContent, configFailure, ensureConfig, refusesZero, type Share } from './config.ts'
import { describeEndpoint, ensureEndpoint, lacksRoom } from './endpoint.ts'
import { ensureLogGroup } from './log-group.ts'
import { ensureModel } from './model.ts'
import { endpointName } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import { type Plan, planOf } from './plan.ts'
import { removeOld } from './removal.ts'
import { ensureRole } from './role.ts'
import { ensureScaling, removeScaling, watchErrors } from './scaling.ts'
import type { State } from './state.ts'

/**
 * Brings a revision up: role, archive, model, configuration, endpoint, component, scaling; then lets go of what no revision needs any
 * more. Every part is found again by its name, so repeating it after a crash goes on where it ended.
 */
export const bringUp = async (parts: SagemakerParts, target: DeployTarget): Promise<JsonObject> => {
  const { deployment } = target
  const plan = planOf(deployment, parts.prices)
  const role = await ensureRole(parts, deployment)
  await ensureLogGroup(parts, deployment.id)
  const model_name = await ensureModel(parts, target, plan, role.arn)
  const up = await firstThatFits(parts, target, plan)
  if (plan.components) {
    const kept = await ensureComponent(parts, target, plan)
    await removeComponents(parts, deployment.id, (name) => name === kept)
  }
  await ensureScaling(parts, deployment, plan)
  await removeOld(parts, deployment.id, { config: up.config_name, revision: deployment.revision })
  const { notes, mode, memory_mb, provisioned, components, min_instances } = plan
  return {
    endpoint_name: endpointName(parts.stage, deployment.id),
    config_name: up.config_name,
    model_name,
    revision: deployment.revision,
    endpoint_mode: mode,
    ...(mode === 'serverless'
      ? { memory_mb, provisioned }
      : { instance_type: up.type?.name ?? '', instance_count: min_instances }),
    components,
    notes: [...notes, ...up.notes],
  } satisfies State
}

interface Up {
  config_name: string
  type: Machine | undefined
  notes: string[]
}

/** The cheapest type that AWS has room for; where it has none, the next, and says so. */
const firstThatFits = async (parts: SagemakerParts, { deployment }: DeployTarget, plan: Plan): Promise<Up> => {
  const notes: string[] = []
  const types = plan.instance_types.length > 0 ? plan.instance_types : [undefined]
  let fault: unknown
  for (const type of types) {
    try {
      const made = await configOf(parts, deployment, plan, type)
      await freeScaling(parts, deployment, made.config_name)
      const guarded = plan.mode === 'real_time' && !plan.components
      if (guarded) await watchErrors(parts, deployment)
      await ensureEndpoint(parts, deployment, made.config_name, { guarded })
      return { config_name: made.config_name, type, notes: [...notes, ...made.notes] }
    } catch (error) {
      if (!lacksRoom(error)) throw error
      fault = error
      notes.push(`${type?.name ?? 'serverless'} was not to be had: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw fault
}

type Owned = DeployTarget['deployment']

/** The configuration of a revision; where the region refuses a pool at zero, one that keeps an instance, and says so. */
export const configOf = async (
  parts: SagemakerParts,
  deployment: Owned,
  plan: Plan,
  type: Machine | undefined,
  share?: Share,
) => {
  const chosen = { instance_type: type?.name, share }
  try {
    return { config_name: await ensureConfig(parts, deployment, configContent(parts, deployment, plan, chosen)), notes: [] }
  } catch (error) {
    if (!plan.components || !refusesZero(error)) throw configFailure(error, deployment.id)
  }
  const content = configContent(parts, deployment, plan, { ...chosen, least: 1 })
  const note = `${parts.region} refuses MinInstanceCount 0: one instance stays while active; hibernation deletes the endpoint instead`
  try {
    return { config_name: await ensureConfig(parts, deployment, content), notes: [note] }
  } catch (error) {
    throw configFailure(error, deployment.id)
  }
}

/** A variant that is scaled can be neither replaced nor removed: its scaling ends before the endpoint changes. */
export const freeScaling = async (parts: SagemakerParts, deployment: Owned, next_config: string): Promise<void> => {
  const found = await describeEndpoint(parts, deployment.id)
  if (found === undefined || found.EndpointConfigName === next_config) return
  for (const { VariantName = '' } of found.ProductionVariants ?? []) {
    const revision = Number(/^r(\d+)$/.exec(VariantName)?.[1] ?? Number.NaN)
    if (Number.isInteger(revision)) await removeScaling(parts, { ...deployment, revision }, false)
  }
}
