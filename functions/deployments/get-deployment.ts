import { app } from '#app'
import { getDeployment } from '../../layers/core/usecases/get-deployment.ts'
import { route } from '../entry/http.ts'

export const handler = route('get-deployment', async ({ params, principal }) => ({
  body: await getDeployment(app, principal, params.deployment_id),
}))
