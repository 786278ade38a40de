import { app } from '#app'
import { updateDeployment } from '../../layers/core/usecases/update-deployment.ts'
import { route } from '../entry/http.ts'

export const handler = route('update-deployment', ({ params, principal, body }) =>
  updateDeployment(app, principal, params.deployment_id, body),
)
