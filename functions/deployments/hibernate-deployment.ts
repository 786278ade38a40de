import { app } from '#app'
import { hibernateDeployment } from '../../layers/core/usecases/hibernate-deployment.ts'
import { route } from '../entry/http.ts'

export const handler = route('hibernate-deployment', ({ params, principal }) =>
  hibernateDeployment(app, principal, params.deployment_id),
)
