import { Model } from '../domain/model.ts'
import type { ModelStorage } from '../domain/storage-decision.ts'
import type { App } from '../ports/app.ts'
import type { Operation } from '../ports/records.ts'
import { modelKey } from './find-model.ts'
import { organizationPartition } from './record-keys.ts'
import { readAll } from './usage-keys.ts'

/** The put that changes how a model's files are kept; undefined says that they are as they came. Nothing else of the model changes. */
export const putStorage = (model: Model, storage: ModelStorage | undefined, version: string): Operation => {
  const { storage: _, ...rest } = model
  return {
    put: {
      ...modelKey(model.organization_id, model.id),
      body: JSON.parse(JSON.stringify(storage === undefined ? rest : { ...rest, storage })),
    },
    expect: { version },
  }
}

/** What a model is like of which nothing was done yet. */
export const untouchedStorage = (last_used_at: string, now: Date): ModelStorage => ({
  form: 'plain',
  since: now.toISOString(),
  last_used_at,
  files: [],
  busy: null,
  deletion_announced_at: null,
  deletes_at: null,
})

/** Models of an organisation whose deletion was announced, the next one first. */
export const readDeletionsAhead = async (
  app: Pick<App, 'records'>,
  organization_id: string,
): Promise<{ model_id: string; name: string; deletes_at: string }[]> => {
  const models = await readAll(app.records, { pk: organizationPartition(organization_id), from: 'model#', to: 'model#~' }, Model)
  return models
    .flatMap(({ id, name, storage }) =>
      storage?.deletes_at == null ? [] : [{ model_id: id, name, deletes_at: storage.deletes_at }],
    )
    .sort((a, b) => (a.deletes_at < b.deletes_at ? -1 : 1))
}
