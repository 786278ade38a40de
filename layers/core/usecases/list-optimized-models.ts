import type { ListQuery } from '../contract/lists.ts'
import { OptimizedModel, type OptimizedModelReply } from '../domain/optimization.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { findModel } from './find-model.ts'
import { type ListReply, listDocuments } from './list-documents.ts'
import { optimizedModelReply } from './optimization-records.ts'

/** List the optimisations of a model, newest first, whatever became of them. Fails with `not_found` for an unknown model. */
export const listOptimizedModels = async (
  app: Pick<App, 'records'>,
  principal: Principal,
  { model_id, query }: { model_id: string; query: ListQuery },
): Promise<ListReply<OptimizedModelReply>> => {
  const { organization_id } = principal
  await findModel(app, organization_id, model_id)
  return listDocuments(app, {
    organization_id,
    kind: 'optimization',
    schema: OptimizedModel,
    query,
    filter: { original_model_id: model_id },
    visible: (optimized) => optimized.deleted_at === undefined,
    reply: optimizedModelReply,
    path: `/models/${model_id}/optimized`,
  })
}
