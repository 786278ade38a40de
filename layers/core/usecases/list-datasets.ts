import type { QueryOf } from '../contract/routes.ts'
import { Dataset, type DatasetReply, datasetReply } from '../domain/dataset.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { type ListReply, listDocuments } from './list-documents.ts'

/** List the datasets of the caller's organisation, newest first; `name` and `format` narrow it. */
export const listDatasets = (
  app: Pick<App, 'records'>,
  principal: Principal,
  query: QueryOf<'list-datasets'>,
): Promise<ListReply<DatasetReply>> => {
  const { name, format } = query
  return listDocuments(app, {
    organization_id: principal.organization_id,
    kind: 'dataset',
    schema: Dataset,
    query,
    filter: { name, format },
    reply: datasetReply,
    path: '/datasets',
  })
}
