import { seededRandom } from './inputs.ts'

/** A reduction of latency, and between which the true one lies with 95 % confidence; negative is slower. */
export interface ReductionInterval {
  /** By the median of the rounds' ratios; the interval holds it. */
  estimate_percent: number
  low_percent: number
  high_percent: number
  /** Pairs of turns it rests on. */
  rounds: number
}

const RESAMPLES = 1000
const OUTSIDE = 0.025
/** Fewer rounds are no sample; single runs of one file differ by about this much on a shared machine. */
const FEW_ROUNDS = 6
const FEW_ROUNDS_NOISE_PERCENT = 15

const median = (values: Float64Array): number => {
  const sorted = values.toSorted()
  const middle = sorted.length >> 1
  return sorted.length % 2 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/**
 * Percentile bootstrap of the median of candidate ÷ original, over rounds in which both took one turn: what slows a round
 * slows both, so the ratio keeps little of it. The same answer for the same numbers.
 * Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
 */
export function pairedInterval(original_ms: readonly number[], candidate_ms: readonly number[]): ReductionInterval {
  const rounds = Math.min(original_ms.length, candidate_ms.length)
  const ratios = Float64Array.from({ length: rounds }, (_, at) => (candidate_ms[at] ?? 0) / Math.max(1e-6, original_ms[at] ?? 0))
  const reduction = (ratio: number): number => 100 * (1 - ratio)
  const estimate_percent = reduction(median(ratios))
  if (rounds < FEW_ROUNDS)
    return {
      estimate_percent,
      low_percent: reduction(Math.max(...ratios)) - FEW_ROUNDS_NOISE_PERCENT,
      high_percent: reduction(Math.min(...ratios)) + FEW_ROUNDS_NOISE_PERCENT,
      rounds,
    }
  const random = seededRandom(rounds)
  const medians = Float64Array.from({ length: RESAMPLES }, () =>
    median(ratios.map(() => ratios[Math.floor(random() * rounds)] ?? 1)),
  ).sort()
  const at = (share: number): number => medians[Math.min(RESAMPLES - 1, Math.floor(share * RESAMPLES))] ?? 1
  // Resampled medians lie about the sample's own; clamped, so that no rounding or skew puts it outside.
  const low_percent = Math.min(estimate_percent, reduction(at(1 - OUTSIDE)))
  return { estimate_percent, low_percent, high_percent: Math.max(estimate_percent, reduction(at(OUTSIDE))), rounds }
}

/** Whether it cannot be told on which side of a line the truth lies. */
export const straddles = ({ low_percent, high_percent }: ReductionInterval, line_percent: number): boolean =>
  low_percent < line_percent && high_percent >= line_percent
