import { isPlatformError, notFound, PlatformError } from '../contract/errors.ts'
import type { Deployment, DeploymentSpec } from '../domain/deployment.ts'
import type { Model } from '../domain/model.ts'
import { OptimizedModel } from '../domain/optimization.ts'
import type { App } from '../ports/app.ts'
import type { DeployTarget } from '../ports/deployer.ts'
import { memoryOf, trim } from './deployment-memory.ts'
import { findActiveModel, findModel } from './find-model.ts'
import { organizationKey, organizationPartition } from './record-keys.ts'

export interface ResolvedModel {
  resolved_model_id: string
  original_model_id: string
  original: Model
}

/**
 * The file a deployment serves. `original`: the model itself. `optimized`: `model_id` is an optimised model's id, or an original's,
 * meaning its newest completed optimisation. Fails with `not_found`, `conflict` (inactive model) or `not_optimized`.
 */
export const resolveModel = async (
  app: Pick<App, 'records'>,
  organization_id: string,
  { model_id, model_type }: Pick<DeploymentSpec, 'model_id' | 'model_type'>,
): Promise<ResolvedModel> => {
  if (model_type === 'original') {
    const { model } = await findActiveModel(app, organization_id, model_id)
    return { resolved_model_id: model.id, original_model_id: model.id, original: model }
  }
  const named = await readOptimized(app, organization_id, model_id)
  if (named !== undefined && named.status !== 'completed') {
    throw new PlatformError('not_optimized', `The optimisation ${model_id} is ${named.status}; wanted a completed one`, {
      facts: { state: named.status },
    })
  }
  const { model: original } = await findActiveModel(app, organization_id, named?.original_model_id ?? model_id)
  const optimized = named ?? (await newestCompleted(app, organization_id, model_id))
  if (optimized === undefined) {
    throw new PlatformError(
      'not_optimized',
      `Model ${model_id} has no completed optimisation; start one with POST /models/${model_id}/optimize, or deploy it with model_type "original"`,
    )
  }
  return { resolved_model_id: optimized.id, original_model_id: original.id, original }
}

const readOptimized = async (
  app: Pick<App, 'records'>,
  organization_id: string,
  id: string,
): Promise<OptimizedModel | undefined> => {
  const stored = await app.records.get(organizationKey(organization_id, 'optimization', id))
  const optimized = stored === undefined ? undefined : OptimizedModel.parse(stored.body)
  return optimized?.deleted_at === undefined ? optimized : undefined
}

/** Newest first, page by page: ids sort by time. */
const newestCompleted = async (
  app: Pick<App, 'records'>,
  organization_id: string,
  model_id: string,
): Promise<OptimizedModel | undefined> => {
  const query = {
    pk: organizationPartition(organization_id),
    from: 'optimization#',
    to: 'optimization#~',
    order: 'desc',
    limit: 100,
  } as const
  let cursor: string | undefined
  do {
    const page = await app.records.query(cursor === undefined ? query : { ...query, cursor })
    const found = page.items
      .map((item) => OptimizedModel.parse(item.body))
      .find((one) => one.original_model_id === model_id && one.status === 'completed' && one.deleted_at === undefined)
    if (found !== undefined) return found
    cursor = page.cursor
  } while (cursor !== undefined)
  return undefined
}

const MOST_MODELS = 10_000

/** What the deployer needs to know about the file. Files never change, so it is read once per process. Fails with `not_found`. */
export const targetOf = async (app: Pick<App, 'records'>, deployment: Deployment): Promise<DeployTarget> => {
  const { models } = memoryOf(app)
  const known = models.get(deployment.resolved_model_id)
  if (known !== undefined) return { deployment, model: known }
  const model = await readModelFile(app, deployment)
  models.set(deployment.resolved_model_id, model)
  trim(models, MOST_MODELS)
  return { deployment, model }
}

const readModelFile = async (app: Pick<App, 'records'>, deployment: Deployment): Promise<DeployTarget['model']> => {
  const { organization_id, resolved_model_id } = deployment
  const optimized = await readOptimized(app, organization_id, resolved_model_id)
  if (optimized === undefined) return fileOf((await findModel(app, organization_id, resolved_model_id)).model)
  const { model: original } = await findModel(app, organization_id, optimized.original_model_id)
  const { storage_path, size_bytes, sha256 } = optimized
  if (storage_path === null || size_bytes === null || sha256 === null) throw notFound('Optimised model', resolved_model_id)
  return { ...fileOf(original), artifact: storage_path, size_bytes, sha256 }
}

const fileOf = (model: Model): DeployTarget['model'] => ({
  artifact: model.storage_path,
  file_name: model.file_name,
  framework: model.framework,
  size_bytes: model.size_bytes,
  sha256: model.sha256,
  inspection: model.inspection,
})

/** The same, where the file may be gone already: hibernating and undeploying need no file. */
export const targetForRelease = async (app: Pick<App, 'records'>, deployment: Deployment): Promise<DeployTarget> => {
  try {
    return await targetOf(app, deployment)
  } catch (error) {
    if (!isPlatformError(error, 'not_found')) throw error
    const gone = { artifact: '', file_name: '', framework: '', size_bytes: 0, sha256: '', inspection: null }
    return { deployment, model: gone }
  }
}
