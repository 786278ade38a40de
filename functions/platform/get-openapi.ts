import { app } from '#app'
import { openApi } from '../../layers/core/contract/openapi.ts'
import { routeRows } from '../../layers/core/contract/routes.ts'
import { JsonObject } from '../../layers/core/domain/json.ts'
import { route } from '../entry/http.ts'
import { onceFor } from '../entry/once-for.ts'

const document = onceFor(() => JsonObject.parse(openApi(routeRows, app.config)))

export const handler = route('get-openapi', async () => ({ body: document(app.config.public_url) }))
