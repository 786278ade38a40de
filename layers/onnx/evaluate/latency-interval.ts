import { seededRandom } from './inputs.ts'

const RESAMPLES = 400
const OUTSIDE = 0.025
/** Fewer turns are no sample; then all that was seen is the interval. */
const FEW_TURNS = 6

export interface LatencyIntervals {
  p50_interval_ms: [number, number]
  p95_interval_ms: [number, number]
}

/** The value below which `share` of the sorted values lie (nearest rank). */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN
}

/**
 * 95 % intervals of p50 and p95 of single runs, by bootstrap over turns: runs of one turn share what the machine did meanwhile, so
 * turns and not runs are drawn. The same answer for the same numbers. Source: Field and Welsh, Bootstrapping clustered data, 2007.
 */
export function latencyIntervals(turns: readonly (readonly number[])[]): LatencyIntervals {
  if (turns.length < FEW_TURNS) {
    const runs = turns.flat()
    const ends: [number, number] = [percentile(runs, 0), percentile(runs, 1)]
    return { p50_interval_ms: ends, p95_interval_ms: ends }
  }
  const random = seededRandom(turns.length)
  const drawn = Array.from({ length: RESAMPLES }, () => {
    const runs = Float64Array.from(turns.flatMap(() => turns[Math.floor(random() * turns.length)] ?? [])).sort()
    const at = (share: number): number => runs[Math.max(0, Math.ceil(share * runs.length) - 1)] ?? Number.NaN
    return [at(0.5), at(0.95)] as const
  })
  const interval = (values: number[]): [number, number] => [percentile(values, OUTSIDE), percentile(values, 1 - OUTSIDE)]
  return {
    p50_interval_ms: interval(drawn.map(([middle]) => middle)),
    p95_interval_ms: interval(drawn.map(([, high]) => high)),
  }
}
