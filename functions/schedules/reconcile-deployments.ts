import { app } from '#app'
import { reconcileDeployments } from '../../layers/core/usecases/reconcile-deployments.ts'

export const run = () => reconcileDeployments(app)
