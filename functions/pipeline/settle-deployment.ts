import { app } from '#app'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { settleDeployment } from '../../layers/core/usecases/settle-deployment.ts'

export const run: Step = (state) => settleDeployment(app, state)
