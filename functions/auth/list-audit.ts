import { app } from '#app'
import { listAudit } from '../../layers/core/usecases/list-audit.ts'
import { route } from '../entry/http.ts'

export const handler = route('list-audit', async ({ principal, query }) => ({ body: await listAudit(app, principal, query) }))
