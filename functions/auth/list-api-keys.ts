import { app } from '#app'
import { apiKeyReply } from '../../layers/core/contract/routes/auth.ts'
import { listApiKeys } from '../../layers/core/usecases/list-api-keys.ts'
import { route } from '../entry/http.ts'

export const handler = route('list-api-keys', async ({ principal }) => ({
  body: (await listApiKeys(app, principal)).map(apiKeyReply),
}))
