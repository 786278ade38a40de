import { app } from '#app'
import { apiKeyReply } from '../../layers/core/contract/routes/auth.ts'
import { createApiKey } from '../../layers/core/usecases/create-api-key.ts'
import { route } from '../entry/http.ts'

export const handler = route('create-api-key', async ({ principal, body }) => {
  const { key, api_key } = await createApiKey(app, principal, body)
  return { body: { ...apiKeyReply(key), api_key } }
})
