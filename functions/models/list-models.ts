import { app } from '#app'
import { listModels } from '../../layers/core/usecases/list-models.ts'
import { route } from '../entry/http.ts'

export const handler = route('list-models', ({ query, principal }) => listModels(app, principal, query))
