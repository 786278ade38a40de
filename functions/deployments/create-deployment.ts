import { app } from '#app'
import { createDeployment } from '../../layers/core/usecases/create-deployment.ts'
import { route } from '../entry/http.ts'

export const handler = route('create-deployment', async ({ principal, body }) => ({
  body: await createDeployment(app, principal, body),
}))
