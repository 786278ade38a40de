import { coldStorageSku, type StoredModel } from '../domain/cost-analysis.ts'
import type { FleetMember } from '../domain/fleet.ts'
import { Model } from '../domain/model.ts'
import { OptimizedModel } from '../domain/optimization.ts'
import type { ModelStorage } from '../domain/storage-decision.ts'
import type { App } from '../ports/app.ts'
import { organizationPartition } from './record-keys.ts'
import { readAll } from './usage-keys.ts'

type Parts = Pick<App, 'records'>

/** Every optimisation of an organisation, deleted ones while their record is kept. */
export const readOptimizations = (app: Parts, organization_id: string): Promise<OptimizedModel[]> =>
  readAll(
    app.records,
    { pk: organizationPartition(organization_id), from: 'optimization#', to: 'optimization#~' },
    OptimizedModel,
  )

/** Every model file an organisation keeps or kept: uploaded models and published optimised ones. */
export const readStoredModels = async (
  app: Parts,
  organization_id: string,
  optimizations: readonly OptimizedModel[],
  now: Date,
): Promise<StoredModel[]> => {
  const pk = organizationPartition(organization_id)
  const live = await readAll(app.records, { pk, from: 'model#', to: 'model#~' }, Model)
  const deleted = await readAll(app.records, { pk, from: 'deleted-model#', to: 'deleted-model#~' }, Model)
  const ends = new Map(deleted.map(({ id, deleted_at }) => [id, deleted_at]))
  const storages = new Map([...live, ...deleted].map(({ id, storage }) => [id, storage]))
  const span = ({ created_at, deleted_at }: { created_at: string; deleted_at?: string | undefined }) => ({
    from_ms: Date.parse(created_at),
    to_ms: deleted_at === undefined ? now.getTime() : Date.parse(deleted_at),
  })
  /** An optimised model goes with its original. */
  const endingWith = ({ created_at, deleted_at, original_model_id }: OptimizedModel) => ({
    created_at,
    deleted_at: deleted_at ?? ends.get(original_model_id),
  })
  return [
    ...[...live, ...deleted].flatMap((model) =>
      inItsForms(model.storage, model.storage_path, { id: model.id, size_bytes: model.size_bytes, stored: span(model) }),
    ),
    ...optimizations.flatMap((optimized) =>
      optimized.status === 'completed' && optimized.size_bytes !== null
        ? inItsForms(storages.get(optimized.original_model_id), optimized.storage_path, {
            id: optimized.id,
            size_bytes: optimized.size_bytes,
            stored: span(endingWith(optimized)),
          })
        : [],
    ),
  ]
}

/** A file that was compressed takes its whole size until then and what is left of it since, in its colder class where it was archived. */
const inItsForms = (storage: ModelStorage | undefined, key: string | null, model: StoredModel): StoredModel[] => {
  const file = storage?.files.find((one) => one.key === key)
  if (!storage || !file) return [model]
  const at_ms = Math.min(Math.max(Date.parse(storage.since), model.stored.from_ms), model.stored.to_ms)
  return [
    { ...model, stored: { ...model.stored, to_ms: at_ms } },
    {
      ...model,
      size_bytes: file.stored_bytes,
      stored: { ...model.stored, from_ms: at_ms },
      ...(storage.form === 'archived' && { sku: coldStorageSku }),
    },
  ]
}

/** Which model file each deployment serves, for as long as it lived. Earlier revisions' files count as undeployed. */
export const usesOf = (members: readonly FleetMember[]) =>
  members.flatMap(({ deployment_id, deployment, lifetime }) =>
    deployment ? [{ deployment_id, model_id: deployment.resolved_model_id, used: lifetime }] : [],
  )
