import { app } from '#app'
import { listRevisions } from '../../layers/core/usecases/list-revisions.ts'
import { route } from '../entry/http.ts'

export const handler = route('list-revisions', async ({ params, principal }) => ({
  body: await listRevisions(app, principal, params.deployment_id),
}))
