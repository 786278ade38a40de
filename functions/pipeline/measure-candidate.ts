import { app } from '#app'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { measureCandidate } from '../../layers/core/usecases/measure-candidate.ts'
import { CandidateState } from '../../layers/core/usecases/optimization-state.ts'

export const run: Step = (state, { cancelled }) => {
  const { item, ...rest } = CandidateState.parse(state)
  return measureCandidate(app, rest, { original: rest.original, candidate: item, cancelled })
}
