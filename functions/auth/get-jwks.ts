import { app } from '#app'
import { publicKeys } from '../../layers/core/usecases/public-keys.ts'
import { route } from '../entry/http.ts'

export const handler = route('get-jwks', async () => ({
  body: await publicKeys(app),
  headers: { 'cache-control': 'public, max-age=300' },
}))
