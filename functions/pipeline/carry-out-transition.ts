import { app } from '#app'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { carryOutTransition } from '../../layers/core/usecases/carry-out-transition.ts'
import { readyDeployedFiles } from '../../layers/core/usecases/ready-model-files.ts'

export const run: Step = async (state) => {
  await readyDeployedFiles(app, state)
  return carryOutTransition(app, state)
}
