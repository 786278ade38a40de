import { app } from '#app'
import { listDatasets } from '../../layers/core/usecases/list-datasets.ts'
import { route } from '../entry/http.ts'

export const handler = route('list-datasets', ({ query, principal }) => listDatasets(app, principal, query))
