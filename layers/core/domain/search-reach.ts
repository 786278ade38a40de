import { type Asked, evidenceOf, latencyShare } from './evidence.ts'
import type { Attempt } from './optimization.ts'
import { canReach, type Rung, type SearchState } from './search-state.ts'

/** A share of the original's p50 may turn out so much smaller than told beforehand. */
const LATENCY_SLACK = 1.1

const sizeOf = ({ planned, evidence }: Rung): number | null =>
  evidence?.candidate.size_bytes ?? planned.expected_size_bytes ?? planned.least_size_bytes ?? null
const p50Share = ({ planned, evidence }: Rung): number | null =>
  evidence ? latencyShare(evidence) : (planned.expected_p50_share ?? null)
/** Power of the error relative to the signal's. */
export const noiseOf = ({ planned, evidence }: Rung): number =>
  10 ** (-(evidence?.fidelity.sqnr_db ?? planned.expected_sqnr_db) / 10)

/** The original's p50 as measured first; undefined before. */
const originalP50 = (attempts: readonly Attempt[]): number | undefined =>
  attempts.flatMap((attempt) => evidenceOf(attempt)?.original.p50_ms ?? [])[0]

/** Whether this share of the original's p50 can meet the latency target. Before the original was timed a target counts as faster than it is. */
function isFastEnough(share: number | null, { attempts, asked: { target_latency_ms } }: SearchState): boolean {
  if (target_latency_ms === null || share === null) return true
  const p50_ms = originalP50(attempts)
  return p50_ms === undefined ? share < 1 : share * p50_ms <= target_latency_ms * LATENCY_SLACK
}

/** Whether a candidate, by what is known of it, can meet both targets; what is not known counts as if it could. */
export const canMeet = (rung: Rung, state: SearchState): boolean =>
  canReach(sizeOf(rung), state.asked) && isFastEnough(p50Share(rung), state)

/** What two of them together are expected to be, since savings multiply; null where one is not known. */
export const pairSize = (a: Rung, b: Rung, original_size_bytes: number): number | null => {
  const [first, second] = [sizeOf(a), sizeOf(b)]
  return first === null || second === null ? null : Math.round((first * second) / Math.max(1, original_size_bytes))
}

export const canMeetTogether = (a: Rung, b: Rung, state: SearchState): boolean => {
  const size = pairSize(a, b, state.original_size_bytes)
  const [first, second] = [p50Share(a), p50Share(b)]
  return (
    size !== null && canReach(size, state.asked) && isFastEnough(first === null ? null : first * Math.min(1, second ?? 0), state)
  )
}

export const hasTargets = ({ target_size_bytes, target_latency_ms }: Asked): boolean =>
  target_size_bytes !== null || target_latency_ms !== null
