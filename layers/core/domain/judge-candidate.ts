import { wishesOf } from './accuracy-gate.ts'
import type { Asked, Evidence } from './evidence.ts'
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
export const latencyReduction = ({ original, candidate }: Evidence): number => reductionPercent(original.p50_ms, candidate.p50_ms)

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
  const latency = latencyReduction(evidence)
  const { low_percent, high_percent } = intervalOf(evidence)
  const measured = measuredText(evidence)
  if (Math.min(latency, low_percent) >= SLOWEST_ACCEPTED_PERCENT) return { verdict: 'accepted', reason: `Accepted: ${measured}` }
  const surely = Math.max(latency, high_percent) < SLOWEST_ACCEPTED_PERCENT
  const permitted = slowerPermittedBy(evidence, asked)
  if (permitted)
    return {
      verdict: 'accepted',
      reason: `Accepted although ${surely ? '' : 'maybe '}slower, as ${permitted} permits: ${measured}`,
    }
  const verdict = surely ? 'Slower' : 'Inconclusive, timed again and still maybe slower'
  const wanted = `wanted at most +${LATENCY_NOISE_PERCENT} % latency, or a target_size or metadata.allow_slower`
  return { verdict: 'rejected', reason: `${verdict}: ${measured}; ${wanted}` }
}

/** Without an interval the figure stands for itself. */
const intervalOf = (evidence: Evidence): Pick<LatencyInterval, 'low_percent' | 'high_percent'> => {
  const latency = latencyReduction(evidence)
  return evidence.latency_interval ?? { low_percent: latency, high_percent: latency }
}

const changeText = (evidence: Evidence): string => {
  const { latency_interval: interval } = evidence
  const likely = interval ? ` (95 %: ${signed(-interval.high_percent)} to ${signed(-interval.low_percent)})` : ''
  return `size ${signed(-sizeReduction(evidence))}, p50 latency ${signed(-latencyReduction(evidence))}${likely}`
}
const measuredText = (evidence: Evidence): string => `${changeText(evidence)}, ${fidelityText(evidence.fidelity)}`

const signed = (percent: number): string => `${percent > 0 ? '+' : percent < 0 ? '−' : '±'}${Math.abs(percent)} %`

/** A wanted size is worth time only to what has it. */
const slowerPermittedBy = ({ candidate }: Evidence, asked: Asked): string | undefined => {
  if (wishesOf(asked.metadata).allow_slower === true) return 'metadata.allow_slower'
  return asked.target_size_bytes !== null && candidate.size_bytes <= asked.target_size_bytes ? 'target_size' : undefined
}

/** Whether it is, or may be, slower than the original by more than measurements differ. */
export const maybeSlower = (evidence: Evidence): boolean =>
  Math.min(latencyReduction(evidence), intervalOf(evidence).low_percent) < SLOWEST_ACCEPTED_PERCENT
