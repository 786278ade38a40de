import { Revision } from '../contract/routes/deployments.ts'
import { Deployment } from '../domain/deployment.ts'
import { Model } from '../domain/model.ts'
import type { OptimizedModel } from '../domain/optimization.ts'
import type { JudgedModel } from '../domain/storage-decision.ts'
import type { App } from '../ports/app.ts'
import { TOMBSTONE_S } from './deployment-records.ts'
import { everyStored } from './every-stored.ts'
import { modelKey } from './find-model.ts'
import { readModelUse } from './model-use.ts'
import { organizationPartition } from './record-keys.ts'
import { readOptimizations } from './stored-models.ts'
import { readAll } from './usage-keys.ts'

/** One file of a model or of an optimised model of it. */
export interface ModelFile {
  key: string
  size_bytes: number
  sha256: string
}

/** A model with everything its storage is decided by, at one version of its document and of its use. */
export interface ModelFacts {
  model: Model
  version: string
  use: Awaited<ReturnType<typeof readModelUse>>
  files: ModelFile[]
  judged: JudgedModel
  lastUsedAt: Date | undefined
}

/** What an organisation's deployments and optimisations say of the use of its models. */
export interface OrganizationUse {
  /** Milliseconds since the epoch of the last known use, by model id; deployments that were deleted are on record for a month. */
  last_used_ms: Map<string, number>
  deployed: Set<string>
  optimizations: OptimizedModel[]
}

export const readOrganizationUse = async (app: Pick<App, 'records'>, organization_id: string): Promise<OrganizationUse> => {
  const pk = organizationPartition(organization_id)
  const deployments = await readAll(app.records, { pk, from: 'deployment#', to: 'deployment#~' }, Deployment)
  const optimizations = await readOptimizations(app, organization_id)
  const originals = new Map(optimizations.map(({ id, original_model_id }) => [id, original_model_id]))
  const use: OrganizationUse = { last_used_ms: new Map(), deployed: new Set(), optimizations }
  for (const deployment of deployments) {
    const named = [deployment.original_model_id, deployment.model_id, deployment.resolved_model_id]
    for (const id of new Set(named.flatMap((one) => (one === undefined ? [] : [one, originals.get(one) ?? one])))) {
      if (deployment.status !== 'deleted') use.deployed.add(id)
      noteUse(use, id, deployment.status_since)
    }
  }
  // Earlier revisions may be rolled back to, or get a share of the requests.
  const live = new Set(deployments.filter(({ status }) => status !== 'deleted').map(({ id }) => id))
  for await (const { sk, body } of everyStored(app.records, { pk, from: 'revision#', to: 'revision#~' }))
    if (live.has(sk.split('#')[1] ?? '')) use.deployed.add(Revision.parse(body).original_model_id)
  for (const { original_model_id, updated_at } of optimizations) noteUse(use, original_model_id, updated_at)
  return use
}

const noteUse = ({ last_used_ms }: OrganizationUse, id: string, at: string): void => {
  last_used_ms.set(id, Math.max(last_used_ms.get(id) ?? 0, Date.parse(at)))
}

/** Undefined when the model is gone. */
export const readModelFacts = async (
  app: Pick<App, 'records' | 'now'>,
  organization_id: string,
  model_id: string,
  known: OrganizationUse,
): Promise<ModelFacts | undefined> => {
  const stored = await app.records.get(modelKey(organization_id, model_id))
  if (!stored) return undefined
  const model = Model.parse(stored.body)
  const use = await readModelUse(app, organization_id, model_id)
  const own = known.optimizations.filter((one) => one.original_model_id === model_id && one.deleted_at === undefined)
  const files: ModelFile[] = [
    { key: model.storage_path, size_bytes: model.size_bytes, sha256: model.sha256 },
    ...own.flatMap(({ storage_path: key, size_bytes, sha256 }) =>
      key === null || size_bytes === null || sha256 === null ? [] : [{ key, size_bytes, sha256 }],
    ),
  ]
  const isSeenTo = (file: ModelFile) => model.storage?.files.some(({ key }) => key === file.key)
  const takes = (file: ModelFile) => model.storage?.files.find(({ key }) => key === file.key)?.stored_bytes ?? file.size_bytes
  return {
    model,
    version: stored.version,
    use,
    files,
    judged: {
      in_use: use.deployment_ids.length > 0 || known.deployed.has(model_id) || own.some(({ status }) => status === 'optimizing'),
      // A file that came later was not seen to.
      storage: model.storage && { ...model.storage, form: files.every(isSeenTo) ? model.storage.form : 'plain' },
      stored_bytes: files.reduce((sum, file) => sum + takes(file), 0),
    },
    lastUsedAt: lastUse(model, known.last_used_ms.get(model_id), app.now()),
  }
}

/** A model made so long ago that what it was deployed in may be off the record, and of which nothing was noted, was used at an unknown time. */
const lastUse = ({ created_at, storage }: Model, known_ms: number | undefined, now: Date): Date | undefined => {
  const made_ms = Date.parse(created_at)
  const noted_ms = storage === undefined ? undefined : Date.parse(storage.last_used_at)
  if (known_ms === undefined && noted_ms === undefined && now.getTime() - made_ms >= TOMBSTONE_S * 1000) return undefined
  return new Date(Math.max(made_ms, known_ms ?? 0, noted_ms ?? 0))
}
