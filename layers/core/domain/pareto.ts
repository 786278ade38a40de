import { evidenceOf, latencyShare } from './evidence.ts'
import type { Attempt, Fidelity, TaskResult } from './optimization.ts'

/** Loss of one attempt on the scale that all of a search share. */
type Scale = (measured: { fidelity: Fidelity; task?: TaskResult | undefined }) => number

const byTask: Scale = ({ task }) => task?.loss.value ?? Number.POSITIVE_INFINITY
const byDecisions: Scale = ({ fidelity }) => 1 - (fidelity.top1_agreement ?? 0)
/** Power of the error relative to the signal's: 0.01 at 20 dB; 1 where it is unknown. */
const byNoise: Scale = ({ fidelity }) => (fidelity.sqnr_db === null ? 1 : 10 ** (-fidelity.sqnr_db / 10))

/**
 * Places of the measured attempts that no other one, nor the original itself, equals or beats in bytes, p50 and loss together;
 * fewest bytes first. Loss is the task's where all have labels, the share of decisions changed where all decide, else noise. p50
 * counts relative to the original's of the same measurement, because a machine is not equally fast all day.
 */
export function paretoFront(attempts: readonly Attempt[]): number[] {
  const measured = attempts.flatMap((attempt, index) => {
    const evidence = evidenceOf(attempt)
    return evidence ? [{ index, ...evidence }] : []
  })
  const scale = measured.every(({ task }) => task !== undefined)
    ? byTask
    : measured.every(({ fidelity }) => fidelity.top1_agreement !== null && fidelity.classes_seen !== 1)
      ? byDecisions
      : byNoise
  const points = measured.map(({ index, ...evidence }) => ({
    index,
    at: [evidence.candidate.size_bytes, latencyShare(evidence), scale(evidence)],
    untouched: [evidence.original.size_bytes, 1, 0],
  }))
  return points
    .filter(({ index, at, untouched }) => {
      if (dominates(untouched, at)) return false
      return !points.some((other) => dominates(other.at, at) || (other.index < index && equal(other.at, at)))
    })
    .toSorted((a, b) => (a.at[0] ?? 0) - (b.at[0] ?? 0))
    .map(({ index }) => index)
}

const equal = (a: readonly number[], b: readonly number[]): boolean => a.every((value, at) => value === b[at])
/** At least as good in everything and better in something. */
const dominates = (a: readonly number[], b: readonly number[]): boolean =>
  a.every((value, at) => value <= (b[at] ?? Number.NEGATIVE_INFINITY)) && !equal(a, b)
