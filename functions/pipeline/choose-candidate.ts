import { app } from '#app'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { decideOptimization } from '../../layers/core/usecases/choose-candidate.ts'
import { OptimizationInput } from '../../layers/core/usecases/optimization-state.ts'

export const run: Step = (state) => decideOptimization(app, OptimizationInput.parse(state))
