import { app } from '#app'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { cleanUpOptimization } from '../../layers/core/usecases/clean-up-optimization.ts'
import { LastState } from '../../layers/core/usecases/optimization-state.ts'

export const run: Step = (state) => {
  const { failure, ...ref } = LastState.parse(state)
  return cleanUpOptimization(app, ref, failure)
}
