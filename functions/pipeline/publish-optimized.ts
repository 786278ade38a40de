import { app } from '#app'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { ChosenState } from '../../layers/core/usecases/optimization-state.ts'
import { publishOptimized } from '../../layers/core/usecases/publish-optimized.ts'

export const run: Step = (state) => {
  const { chosen, ...ref } = ChosenState.parse(state)
  return publishOptimized(app, ref, chosen)
}
