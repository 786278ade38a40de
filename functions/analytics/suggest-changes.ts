import { app } from '#app'
import { suggestChanges } from '../../layers/core/usecases/suggest-changes.ts'
import { route } from '../entry/http.ts'

export const handler = route('suggest-changes', async ({ principal }) => ({ body: await suggestChanges(app, principal) }))
