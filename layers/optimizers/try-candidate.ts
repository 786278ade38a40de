import { isPlatformError } from '../core/contract/errors.ts'
import { wishesOf } from '../core/domain/accuracy-gate.ts'
import type { Confirmation } from '../core/domain/confirmation.ts'
import { hopelessLine } from '../core/domain/faithfulness.ts'
import { inferenceCost } from '../core/domain/inference-cost.ts'
import { judgeCandidate } from '../core/domain/judge-candidate.ts'
import type { Trial } from '../core/domain/next-attempt.ts'
import type { Attempt } from '../core/domain/optimization.ts'
import type { PriceBook } from '../core/domain/price.ts'
import { asDuplicate, type SearchState, sameFile } from '../core/domain/search-state.ts'
import type { MeasureOrder, Workbench } from '../core/ports/workbench.ts'
import { refusedBuild } from '../core/usecases/refused-build.ts'

export interface Tried {
  spent_ms: number
  /** Absent when it was interrupted. */
  attempt?: Attempt
}

export interface Trying {
  bench: Workbench
  /** Keys of the rows. */
  data: { calibration: string | null; evaluation: string | null }
  state: SearchState
  target: string
  prices: PriceBook | undefined
  doing: (step: 'building' | 'measuring') => void
}

/**
 * Builds, measures and judges one candidate. A model that an optimizer refuses, or that does not run, is a failed attempt. Fails with
 * `invalid_request` where supplied data do not fit the model: no other candidate would fare better. `place` is where the attempt will stand.
 */
export async function tryCandidate(parts: Trying & { next: Trial; place: number }): Promise<Tried> {
  const { bench, data, next, place, state, doing } = parts
  const spent = stopwatch()
  const { optimizer: name, settings, base, expected_size_bytes, build_ms: limit_ms } = next
  const common = { name, settings, ...(base !== undefined && { base }), expected_size_bytes }
  const artifact = `candidate-${place}.onnx`
  doing('building')
  let built: Attempt
  try {
    const from = base === undefined ? 'original' : (state.attempts[base]?.artifact ?? 'original')
    const made = await bench.build({ ...data, optimizer: name, settings, original: from, candidate: artifact, limit_ms })
    const reason = ['Built', ...made.notes].join('; ')
    built = { ...common, verdict: 'rejected', reason, artifact, sha256: made.sha256, build_ms: made.time_ms }
    const same = sameFile(state.attempts, made.sha256)
    if (same) {
      const { artifact: _, ...rest } = built
      return { spent_ms: spent(), attempt: { ...rest, ...asDuplicate(same) } }
    }
  } catch (error) {
    const { outcome, ends } = refusedBuild(error, state.attempts)
    if (ends) throw error
    return { spent_ms: spent(), attempt: { ...common, ...outcome } }
  }
  doing('measuring')
  const attempt = await measured(parts, built, { budget_ms: next.measure_ms, hopeless: hopelessLine(state.asked) })
  return { spent_ms: spent(), attempt }
}

/** Measures an attempt once more, and longer: what is found then replaces what was. Fails as `tryCandidate`. */
export async function confirmCandidate(parts: Trying & { next: Confirmation }): Promise<Tried> {
  const { next, state, doing } = parts
  const known = state.attempts[next.place]
  const spent = stopwatch()
  if (!known) return { spent_ms: 0 }
  doing('measuring')
  const attempt = await measured(parts, { ...known, confirmed: true }, { budget_ms: next.measure_ms, thorough: true })
  return { spent_ms: spent(), attempt }
}

const stopwatch = (): (() => number) => {
  const started = performance.now()
  return () => performance.now() - started
}

async function measured(
  { bench, data, state, target, prices }: Trying,
  built: Attempt,
  how: Pick<MeasureOrder, 'budget_ms' | 'thorough' | 'hopeless'>,
): Promise<Attempt> {
  const { class_output, input_shapes, task } = wishesOf(state.asked.metadata)
  const files = { original: 'original', ...data, candidate: built.artifact ?? '' }
  try {
    const order = { ...files, class_output, input_shapes: input_shapes ?? {}, ...how }
    const evidence = await bench.measure({ ...order, ...(task && { task }) })
    const cost = prices && { cost_per_1000: inferenceCost(target, evidence, { prices, measured_on: process.arch }) }
    return { ...built, ...evidence, ...cost, ...judgeCandidate(evidence, state.asked) }
  } catch (error) {
    if (!isPlatformError(error, 'model_error')) throw error
    return { ...built, verdict: 'failed', reason: error.message }
  }
}
