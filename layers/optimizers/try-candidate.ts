import { isPlatformError } from '../core/contract/errors.ts'
import { wishesOf } from '../core/domain/accuracy-gate.ts'
import { inferenceCost } from '../core/domain/inference-cost.ts'
import { judgeCandidate } from '../core/domain/judge-candidate.ts'
import type { Trial } from '../core/domain/next-attempt.ts'
import type { Attempt } from '../core/domain/optimization.ts'
import type { PriceBook } from '../core/domain/price.ts'
import type { SearchState } from '../core/domain/search-state.ts'
import type { Workbench } from '../core/ports/workbench.ts'

export interface Tried {
  spent_ms: number
  /** Absent when it was interrupted. */
  attempt?: Attempt
}

/**
 * Builds, measures and judges one candidate. A model that an optimizer refuses, or that does not run, is a failed attempt. Fails with
 * `invalid_request` where supplied data do not fit the model: no other candidate would fare better.
 */
export async function tryCandidate({
  bench,
  data,
  next,
  place,
  state,
  target,
  prices,
  doing,
}: {
  bench: Workbench
  /** Keys of the rows. */
  data: { calibration: string | null; evaluation: string | null }
  next: Trial
  /** Where the attempt will stand. */
  place: number
  state: SearchState
  target: string
  prices: PriceBook | undefined
  doing: (step: 'building' | 'measuring') => void
}): Promise<Tried> {
  const started = performance.now()
  const spent = () => performance.now() - started
  const { optimizer: name, settings, base, expected_size_bytes } = next
  const common = { name, settings, ...(base !== undefined && { base }), expected_size_bytes }
  const files = { original: 'original', ...data }
  const artifact = `candidate-${place}.onnx`
  doing('building')
  let built: Attempt
  try {
    const from = base === undefined ? 'original' : (state.attempts[base]?.artifact ?? 'original')
    const made = await bench.build({ ...files, optimizer: name, settings, original: from, candidate: artifact })
    const reason = ['Built', ...made.notes].join('; ')
    built = { ...common, verdict: 'rejected', reason, artifact, sha256: made.sha256, build_ms: made.time_ms }
  } catch (error) {
    if (!isPlatformError(error, 'model_error')) throw error
    return { spent_ms: spent(), attempt: { ...common, verdict: 'failed', reason: error.message } }
  }
  doing('measuring')
  const { class_output, input_shapes, task } = wishesOf(state.asked.metadata)
  try {
    const order = { ...files, candidate: artifact, class_output, input_shapes: input_shapes ?? {}, budget_ms: next.measure_ms }
    const evidence = await bench.measure({ ...order, ...(task && { task }) })
    const cost = prices && { cost_per_1000: inferenceCost(target, evidence, { prices, measured_on: process.arch }) }
    return { spent_ms: spent(), attempt: { ...built, ...evidence, ...cost, ...judgeCandidate(evidence, state.asked) } }
  } catch (error) {
    if (!isPlatformError(error, 'model_error')) throw error
    return { spent_ms: spent(), attempt: { ...built, verdict: 'failed', reason: error.message } }
  }
}
