import type { QueryOf } from '../contract/routes.ts'
import { Model, type ModelReply, modelReply } from '../domain/model.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { type ListReply, listDocuments } from './list-documents.ts'

/** List the models of the caller's organisation, newest first; `name`, `framework` and `status` narrow it. */
export const listModels = (
  app: Pick<App, 'records'>,
  principal: Principal,
  query: QueryOf<'list-models'>,
): Promise<ListReply<ModelReply>> => {
  const { name, framework, status } = query
  return listDocuments(app, {
    organization_id: principal.organization_id,
    kind: 'model',
    schema: Model,
    query,
    filter: { name, framework, status },
    reply: modelReply,
    path: '/models',
  })
}
