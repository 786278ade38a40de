import { app } from '#app'
import { deleteDeployment } from '../../layers/core/usecases/delete-deployment.ts'
import { route } from '../entry/http.ts'

export const handler = route('delete-deployment', ({ params, principal }) =>
  deleteDeployment(app, principal, params.deployment_id),
)
