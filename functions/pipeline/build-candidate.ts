import { app } from '#app'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { buildCandidate } from '../../layers/core/usecases/build-candidate.ts'
import { CandidateState } from '../../layers/core/usecases/optimization-state.ts'

export const run: Step = (state, { cancelled }) => {
  const { item, ...rest } = CandidateState.parse(state)
  return buildCandidate(app, rest, { original: rest.original, slot: item.index, cancelled })
}
