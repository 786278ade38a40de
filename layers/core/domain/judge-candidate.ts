import { wishesOf } from './accuracy-gate.ts'
import { type Asked, type Evidence, latencyShare } from './evidence.ts'
import { faithfulness, fidelityText, round2 } from './faithfulness.ts'
import type { LatencyInterval } from './optimization.ts'

export interface Verdict {
  verdict: 'accepted' | 'rejected'
  reason: string
}

/** Less than this is within what two measurements of the same file differ by. */
const LATENCY_NOISE_PERCENT = 3
/** The latency reduction below which a candidate counts as slower. */
export const SLOWEST_ACCEPTED_PERCENT = -LATENCY_NOISE_PERCENT
/** Below this a file is not called smaller. */
const SIZE_GAIN_PERCENT = 1

/** 100 · (1 − after ÷ before): positive is better, negative is worse and said so. Two decimals. */
export const reductionPercent = (before: number, after: number): number => (before > 0 ? round2(100 * (1 - after / before)) : 0)

export const sizeReduction = ({ original, candidate }: Evidence): number =>
  reductionPercent(original.size_bytes, candidate.size_bytes)
/** The one estimate of it: what is published, judged and told. */
export const latencyReduction = (evidence: Evidence): number => round2(100 * (1 - latencyShare(evidence)))

/**
 * Whether a measured candidate may be published: faithful first, then smaller or faster, then not slower unless permitted. Where the
 * interval of the latency holds the line it is judged by, nothing is proven: such a candidate is rejected as inconclusive.
 */
export function judgeCandidate(evidence: Evidence, asked: Asked): Verdict {
  const { reason, note } = faithfulness(evidence, asked)
  if (reason !== undefined) return { verdict: 'rejected', reason }
  const judged = sizeReduction(evidence) >= SIZE_GAIN_PERCENT ? judgeSmaller(evidence, asked) : judgeFaster(evidence)
  return note === undefined ? judged : { ...judged, reason: `${judged.reason}; ${note}` }
}

/** One that is not smaller must be faster, and surely so. */
function judgeFaster(evidence: Evidence): Verdict {
  if (latencyReduction(evidence) < LATENCY_NOISE_PERCENT)
    return { verdict: 'rejected', reason: `Neither smaller nor faster: ${changeText(evidence)}` }
  return intervalOf(evidence).low_percent > 0
    ? { verdict: 'accepted', reason: `Accepted: ${measuredText(evidence)}` }
    : { verdict: 'rejected', reason: `Inconclusive: not smaller and maybe not faster: ${measuredText(evidence)}` }
}

/** One that is smaller must not be slower, or slowness be permitted. */
function judgeSmaller(evidence: Evidence, asked: Asked): Verdict {
  const { low_percent, high_percent } = intervalOf(evidence)
  const measured = measuredText(evidence)
  if (low_percent >= SLOWEST_ACCEPTED_PERCENT) {
    const but = high_percent < 0 ? ' as smaller, though slower by less than two measurements of one file differ' : ''
    return { verdict: 'accepted', reason: `Accepted${but}: ${measured}` }
  }
  const surely = high_percent < SLOWEST_ACCEPTED_PERCENT
  const permitted = slowerPermittedBy(evidence, asked)
  if (permitted)
    return {
      verdict: 'accepted',
      reason: `Accepted although ${surely ? '' : 'maybe '}slower, as ${permitted}: ${measured}`,
    }
  const verdict = surely ? 'Slower' : 'Inconclusive, timed again and still maybe slower'
  const wanted = `wanted at most +${LATENCY_NOISE_PERCENT} % latency, or a target_size or metadata.allow_slower`
  return { verdict: 'rejected', reason: `${verdict}: ${measured}; ${wanted}` }
}

/** It holds the estimate always; without an interval the figure stands for itself. */
const intervalOf = (evidence: Evidence): Pick<LatencyInterval, 'low_percent' | 'high_percent'> => {
  const latency = latencyReduction(evidence)
  const { low_percent, high_percent } = evidence.latency_interval ?? { low_percent: latency, high_percent: latency }
  return { low_percent: Math.min(latency, low_percent), high_percent: Math.max(latency, high_percent) }
}

const changeText = (evidence: Evidence): string => {
  const { low_percent, high_percent } = intervalOf(evidence)
  const likely = evidence.latency_interval ? ` (95 %: ${signed(-high_percent)} to ${signed(-low_percent)})` : ''
  return `size ${signed(-sizeReduction(evidence))}, p50 latency ${signed(-latencyReduction(evidence))}${likely}`
}
const measuredText = (evidence: Evidence): string => `${changeText(evidence)}, ${fidelityText(evidence.fidelity)}`

const signed = (percent: number): string => `${percent > 0 ? '+' : percent < 0 ? '−' : '±'}${Math.abs(percent)} %`

/** A wanted size is worth time only to what has it, and where nothing that has it is not slower: see `slowness`. */
const slowerPermittedBy = ({ candidate }: Evidence, asked: Asked): string | undefined => {
  if (wishesOf(asked.metadata).allow_slower === true) return 'metadata.allow_slower permits'
  const has_size = asked.target_size_bytes !== null && candidate.size_bytes <= asked.target_size_bytes
  return has_size ? 'target_size permits where nothing that is not slower has it' : undefined
}

/**
 * How sure it is that a candidate is slower than the original: 0 nothing says so, 1 it may be by more than measurements differ, 2 it
 * is, by less, 3 it is, by more or by what may be more. Only 0 is an improvement.
 */
export function slowness(evidence: Evidence): number {
  const { low_percent, high_percent } = intervalOf(evidence)
  const far = low_percent < SLOWEST_ACCEPTED_PERCENT
  return high_percent < 0 ? (far ? 3 : 2) : far ? 1 : 0
}
