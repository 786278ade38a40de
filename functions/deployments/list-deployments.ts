import { app } from '#app'
import { listDeployments } from '../../layers/core/usecases/list-deployments.ts'
import { route } from '../entry/http.ts'

export const handler = route('list-deployments', ({ principal, query }) => listDeployments(app, principal, query))
