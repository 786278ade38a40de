import { app } from '#app'
import { revokeApiKey } from '../../layers/core/usecases/revoke-api-key.ts'
import { route } from '../entry/http.ts'

export const handler = route('revoke-api-key', async ({ principal, params }) => ({
  body: await revokeApiKey(app, principal, params.key_id),
}))
