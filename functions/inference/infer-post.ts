import { app } from '#app'
import { belowEndpoint, inferDeployment } from '../../layers/core/usecases/infer-deployment.ts'
import { stream } from '../entry/stream.ts'

export const handler = stream('infer-post', (request) =>
  inferDeployment(app, request.principal, { ...request, ...request.params, path: belowEndpoint(request.path) }),
)
