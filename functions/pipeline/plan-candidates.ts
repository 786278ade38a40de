import { app } from '#app'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { InspectedState } from '../../layers/core/usecases/optimization-state.ts'
import { planCandidates } from '../../layers/core/usecases/plan-candidates.ts'

export const run: Step = async (state) => {
  const inspected = InspectedState.parse(state)
  return { ...(await planCandidates(app, inspected, inspected.inspection)) }
}
