import { app } from '#app'
import { stopDeployment } from '../../layers/core/usecases/stop-deployment.ts'
import { route } from '../entry/http.ts'

export const handler = route('stop-deployment', ({ params, principal }) => stopDeployment(app, principal, params.deployment_id))
