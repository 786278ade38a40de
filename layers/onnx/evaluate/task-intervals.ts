import { seededRandom } from './inputs.ts'
import type { Tally, Weights } from './task-tally.ts'

export interface Score {
  value: number
  /** 95 % confidence. */
  interval: [number, number]
}

const Z = 1.959_964
const RESAMPLES = 1000
const OUTSIDE = 0.025

/** Wilson's score interval of a share, which stays honest near 0 and 1. Source: Wilson, JASA 22, 1927. */
export function wilsonInterval(right: number, count: number): [number, number] {
  const share = right / count
  const scale = 1 + Z ** 2 / count
  const middle = (share + Z ** 2 / (2 * count)) / scale
  const half = (Z / scale) * Math.sqrt((share * (1 - share)) / count + Z ** 2 / (4 * count ** 2))
  return [Math.max(0, middle - half), Math.min(1, middle + half)]
}

/**
 * Score interval of the difference of two shares over the same rows, of which `lost` were right only for the first and `won` only for
 * the second. Where they never differ it still says how rare a difference could be. Source: Tango, Statistics in Medicine 17, 1998.
 */
export function pairedShareInterval(lost: number, won: number, count: number): [number, number] {
  const statistic = (delta: number): number => {
    const b = -lost - won + (2 * count - lost + won) * delta
    const c = -won * delta * (1 - delta)
    const q = (Math.sqrt(Math.max(0, b * b - 8 * count * c)) - b) / (4 * count)
    const variance = count * (2 * q + delta * (1 - delta))
    const distance = lost - won - count * delta
    return variance > 0 ? distance / Math.sqrt(variance) : distance === 0 ? 0 : Math.sign(distance) * Number.POSITIVE_INFINITY
  }
  // The statistic falls as delta grows.
  const solve = (target: number): number => {
    let [low, high] = [-1, 1]
    for (let round = 0; round < 60; round += 1) {
      const middle = (low + high) / 2
      if (statistic(middle) > target) low = middle
      else high = middle
    }
    return (low + high) / 2
  }
  return [solve(Z), solve(-Z)]
}

interface Pair {
  original: Tally
  candidate: Tally
  rows: number
  /** 1 where more is better, -1 for errors. */
  sign: 1 | -1
  /** Whether one row cannot count for more than 1 ÷ rows. */
  bounded: boolean
}

/**
 * Scores of both and what the candidate loses, each with its interval: Wilson's and Tango's where every row is right or wrong, else
 * the percentile bootstrap over rows, both models drawn together (Efron and Tibshirani, 1993, chapter 13). The same answer for the
 * same rows.
 */
export function scorePair(pair: Pair): { original: Score; candidate: Score; loss: Score } {
  const { original, candidate } = pair
  const values = { original: original.value(), candidate: candidate.value() }
  const loss = lossOf(pair, values.original, values.candidate)
  const before = original.rights?.()
  const after = candidate.rights?.()
  const intervals = before && after ? shareIntervals(before, after) : drawnIntervals(pair)
  return {
    original: { value: values.original, interval: intervals.original },
    candidate: { value: values.candidate, interval: intervals.candidate },
    loss: { value: loss, interval: intervals.loss },
  }
}

const lossOf = ({ sign }: Pair, before: number, after: number): number => (sign === 1 ? before - after : after - before)

type Intervals = Record<'original' | 'candidate' | 'loss', [number, number]>

function shareIntervals(before: readonly number[], after: readonly number[]): Intervals {
  const count = before.length
  const sum = (values: readonly number[]): number => values.reduce((all, each) => all + each, 0)
  const both = sum(before.map((each, row) => each * (after[row] ?? 0)))
  const [first, second] = [sum(before), sum(after)]
  return {
    original: wilsonInterval(first, count),
    candidate: wilsonInterval(second, count),
    loss: pairedShareInterval(first - both, second - both, count),
  }
}

function drawnIntervals(pair: Pair): Intervals {
  const { original, candidate, rows } = pair
  const random = seededRandom(rows)
  const drawn: Record<keyof Intervals, number[]> = { original: [], candidate: [], loss: [] }
  for (let resample = 0; resample < RESAMPLES; resample += 1) {
    const weights: Weights = new Uint16Array(rows)
    for (let draw = 0; draw < rows; draw += 1) weights[Math.floor(random() * rows)]! += 1
    const [before, after] = [original.value(weights), candidate.value(weights)]
    drawn.original.push(before)
    drawn.candidate.push(after)
    drawn.loss.push(lossOf(pair, before, after))
  }
  return { original: middleOf(drawn.original), candidate: middleOf(drawn.candidate), loss: doubted(pair, drawn.loss) }
}

/** Fewer rows are no sample to draw from. */
const FEW_ROWS = 20

/**
 * The interval of resampled losses; where none differs, or rows are few, the bootstrap sees too little doubt: then as if one row in so
 * many could lose all, which is 1, or the whole value of a metric that has no bounds.
 */
function doubted(pair: Pair, losses: number[]): [number, number] {
  const [low, high] = middleOf(losses)
  if (high > low && pair.rows >= FEW_ROWS) return [low, high]
  const [before, after] = [pair.original.value(), pair.candidate.value()]
  const rest = (Z ** 2 / (pair.rows + Z ** 2)) * (pair.bounded ? 1 : Math.max(Math.abs(before), Math.abs(after)))
  const loss = lossOf(pair, before, after)
  return [Math.min(low, loss - rest), Math.max(high, loss + rest)]
}

function middleOf(values: number[]): [number, number] {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return [at(OUTSIDE), at(1 - OUTSIDE)]
}
