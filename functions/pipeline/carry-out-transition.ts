import { app } from '#app'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { carryOutTransition } from '../../layers/core/usecases/carry-out-transition.ts'

export const run: Step = (state) => carryOutTransition(app, state)
