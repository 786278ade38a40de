import { latencyIntervals, percentile } from './latency-interval.ts'
import { pairedInterval, type ReductionInterval, straddles } from './paired-interval.ts'
import type { ModelRunner } from './runner.ts'
import type { Feeds } from './tensors.ts'

export interface Timing {
  p50_ms: number
  p95_ms: number
  /** 95 % confidence. */
  p50_interval_ms: [number, number]
  p95_interval_ms: [number, number]
  runs: number
  /** Resident bytes that loading and running added to its process. */
  rss_bytes: number
}

interface Contestant {
  runner: Pick<ModelRunner, 'run'>
  /** Resident bytes that loading and running one row added. */
  rss_bytes: number
}

const WARM_UP_RUNS = 5
/** Runs of each side wanted before the clock may end it, and the number after which more tell nothing. */
const MIN_RUNS = 30
export const MAX_RUNS = 1500
/** One turn of one side: long enough to drown the cost of asking, short enough that both see the same machine. */
const TURN_MS = 25

export interface TimedPair {
  original: Timing
  candidate: Timing
  interval: ReductionInterval
}

interface InterleaveOptions {
  feeds: Feeds
  budget_ms: number
  run_limit_ms: number
  /** When the interval holds this reduction, both are timed once more for as long, and the verdict rests on all of it. */
  line_percent?: number | undefined
  /** Times the usual number of runs; 1 when absent. */
  effort?: number
}

/**
 * Times two models in turns (A B, B A, A B …), so that whatever else the machine does hits both. Single runs say little:
 * the same model differed by 2× between runs minutes apart on a shared machine. Ends at 30 runs of each once the budget is
 * used, at the latest after twice the budget.
 */
export async function interleave(original: Contestant, candidate: Contestant, options: InterleaveOptions): Promise<TimedPair> {
  const sides: [Side, Side] = [await warmUp(original, options), await warmUp(candidate, options)]
  const interval = () => pairedInterval(sides[0].turns_ms, sides[1].turns_ms)
  const most_runs = MAX_RUNS * (options.effort ?? 1)
  await takeTurns(sides, options, most_runs)
  if (options.line_percent !== undefined && straddles(interval(), options.line_percent))
    await takeTurns(sides, options, 2 * most_runs)
  return { original: timingOf(sides[0]), candidate: timingOf(sides[1]), interval: interval() }
}

async function takeTurns(sides: [Side, Side], options: InterleaveOptions, most_runs: number): Promise<void> {
  const started = performance.now()
  for (let round = 0; ; round += 1) {
    const fewest = Math.min(...sides.map((side) => side.latencies_ms.length))
    const spent_ms = performance.now() - started
    if (
      fewest >= most_runs ||
      (fewest >= MIN_RUNS && spent_ms > options.budget_ms) ||
      (fewest > 0 && spent_ms > 2 * options.budget_ms)
    )
      return
    for (const side of round % 2 ? sides.toReversed() : sides) await takeTurn(side, options)
  }
}

interface Side extends Contestant {
  turn_runs: number
  latencies_ms: number[]
  turns: number[][]
  /** Median of each turn. */
  turns_ms: number[]
}

async function warmUp(contestant: Contestant, options: { feeds: Feeds; run_limit_ms: number }): Promise<Side> {
  const { latencies_ms } = await contestant.runner.run(options.feeds, {
    runs: WARM_UP_RUNS,
    timeout_ms: options.run_limit_ms * WARM_UP_RUNS,
  })
  const turn_runs = Math.max(1, Math.min(50, Math.floor(TURN_MS / Math.max(0.01, percentile(latencies_ms, 0.5)))))
  return { ...contestant, turn_runs, latencies_ms: [], turns: [], turns_ms: [] }
}

async function takeTurn(side: Side, options: { feeds: Feeds; run_limit_ms: number }): Promise<void> {
  const { latencies_ms } = await side.runner.run(options.feeds, {
    runs: side.turn_runs,
    timeout_ms: options.run_limit_ms * side.turn_runs,
  })
  side.latencies_ms.push(...latencies_ms)
  side.turns.push(latencies_ms)
  side.turns_ms.push(percentile(latencies_ms, 0.5))
}

const timingOf = (side: Side): Timing => ({
  p50_ms: percentile(side.latencies_ms, 0.5),
  p95_ms: percentile(side.latencies_ms, 0.95),
  ...latencyIntervals(side.turns),
  runs: side.latencies_ms.length,
  rss_bytes: side.rss_bytes,
})
