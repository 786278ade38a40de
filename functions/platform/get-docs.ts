import { app } from '#app'
import { routeRows } from '../../layers/core/contract/routes.ts'
import { renderDocs } from '../../layers/core/usecases/render-docs.ts'
import { route } from '../entry/http.ts'
import { onceFor } from '../entry/once-for.ts'

const page = onceFor(() => renderDocs(routeRows, app.config))

export const handler = route('get-docs', async () => ({ body: page(app.config.public_url) }))
