import { app } from '#app'
import { rollbackDeployment } from '../../layers/core/usecases/rollback-deployment.ts'
import { route } from '../entry/http.ts'

export const handler = route('rollback-deployment', ({ params, principal, body }) =>
  rollbackDeployment(app, principal, params.deployment_id, body.revision),
)
