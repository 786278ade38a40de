import { app } from '#app'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { inspectOriginal } from '../../layers/core/usecases/inspect-original.ts'
import { OptimizationInput } from '../../layers/core/usecases/optimization-state.ts'

export const run: Step = (state) => inspectOriginal(app, OptimizationInput.parse(state))
