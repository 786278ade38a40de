import { app } from '#app'
import { routeRows } from '../../layers/core/contract/routes.ts'
import { renderDocs } from '../../layers/core/usecases/render-docs.ts'
import { route } from '../entry/http.ts'

export const handler = route('get-docs', async () => ({ body: renderDocs(routeRows, app.config) }))
