import { app } from '#app'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { measureCandidate } from '../../layers/core/usecases/measure-candidate.ts'
import { CandidateState } from '../../layers/core/usecases/optimization-state.ts'

export const run: Step = (state, { cancelled }) => {
  const { item, ...rest } = CandidateState.parse(state)
  const { index: slot, measure_ms, confirm } = item
  return measureCandidate(app, rest, { original: rest.original, slot, measure_ms, confirm, cancelled })
}
