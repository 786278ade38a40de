import { app } from '#app'
import { activateDeployment } from '../../layers/core/usecases/activate-deployment.ts'
import { route } from '../entry/http.ts'

export const handler = route('activate-deployment', ({ params, principal }) =>
  activateDeployment(app, principal, params.deployment_id),
)
