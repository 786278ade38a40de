import { binCentre, binOf, countOf, type Histogram } from './histogram.ts'

export interface Range {
  min: number
  max: number
}

/** Ends tried between 5 % and all of the observed range. */
const TRIED = 48
const SMALLEST_SHARE = 0.05
const LEVELS = 256

/**
 * Cuts the same share of values off either end, so that `percentile` per cent stay inside; a share that falls into the zeros
 * keeps 0. ONNX Runtime's `Percentile` does the same with 99.999.
 */
export function percentileRange(histogram: Histogram, observed: Range, percentile: number): Range {
  const cut = (countOf(histogram) * (100 - percentile)) / 200
  const zero = binOf(histogram, 0)
  const bins = histogram.counts.length
  const walk = (from: number, step: 1 | -1): number => {
    let gone = 0
    for (let bin = from; bin >= 0 && bin < bins; bin += step) {
      gone += histogram.counts[bin]! + (bin === zero ? histogram.zeros : 0)
      if (gone > cut) return bin
    }
    return zero
  }
  const width = (2 * histogram.limit) / bins
  return {
    min: Math.max(observed.min, binCentre(histogram, walk(0, 1)) - width / 2),
    max: Math.min(observed.max, binCentre(histogram, walk(bins - 1, -1)) + width / 2),
  }
}

/** Shares of the range worth trying, all of it first. */
const shares = (): number[] => Array.from({ length: TRIED }, (_, at) => 1 - (at * (1 - SMALLEST_SHARE)) / (TRIED - 1))

/**
 * The range with the least squared error of 8 bits: rounding inside (step²/12 each, zeros cost nothing) plus what clipping cuts
 * off. Both ends move on their own; sums over bins make each pair of them O(1).
 */
export function mseRange(histogram: Histogram, observed: Range): Range {
  const bins = histogram.counts.length
  const [counts, sums, squares] = [new Float64Array(bins + 1), new Float64Array(bins + 1), new Float64Array(bins + 1)]
  for (let bin = 0; bin < bins; bin++) {
    const [count, centre] = [histogram.counts[bin]!, binCentre(histogram, bin)]
    counts[bin + 1] = counts[bin]! + count
    sums[bin + 1] = sums[bin]! + count * centre
    squares[bin + 1] = squares[bin]! + count * centre * centre
  }
  /** Σ (x − end)² over bins from `from` to before `to`. */
  const clipped = (from: number, to: number, end: number): number =>
    squares[to]! - squares[from]! - 2 * end * (sums[to]! - sums[from]!) + end * end * (counts[to]! - counts[from]!)
  const [low, high] = [Math.min(0, observed.min), Math.max(0, observed.max)]
  let best: Range & { error: number } = { min: low, max: high, error: Number.POSITIVE_INFINITY }
  for (const min of low < 0 ? shares().map((share) => share * low) : [0])
    for (const max of high > 0 ? shares().map((share) => share * high) : [0]) {
      const [first, last] = [binOf(histogram, min), binOf(histogram, max) + 1]
      const step = (max - min) / (LEVELS - 1)
      const inside = ((counts[last]! - counts[first]!) * step * step) / 12
      const error = inside + clipped(0, first, min) + clipped(last, bins, max)
      if (error < best.error) best = { min, max, error }
    }
  return { min: best.min, max: best.max }
}

/**
 * The range whose 256 levels keep most of the distribution: least Kullback–Leibler divergence between the clipped histogram and
 * the same after quantization (Migacz, "8-bit inference with TensorRT", 2017). Ranges of fewer than two bins per level are not
 * tried: there quantization is exact and the divergence 0 whatever is clipped, which is how naive versions end at nothing.
 */
export function entropyRange(histogram: Histogram, observed: Range): Range {
  const [low, high] = [Math.min(0, observed.min), Math.max(0, observed.max)]
  let best: Range & { divergence: number } = { min: low, max: high, divergence: Number.POSITIVE_INFINITY }
  for (const share of shares()) {
    const [first, last] = [binOf(histogram, low * share), binOf(histogram, high * share) + 1]
    if (last - first < 2 * LEVELS) break
    const divergence = divergenceOf(histogram.counts, first, last)
    // Ties go to the wider range.
    if (divergence < best.divergence) best = { min: low * share, max: high * share, divergence }
  }
  return { min: best.min, max: best.max }
}

function divergenceOf(counts: Float64Array, first: number, last: number): number {
  const clipped = counts.slice(first, last)
  const kept = clipped.slice()
  for (let bin = 0; bin < first; bin++) clipped[0]! += counts[bin]!
  for (let bin = last; bin < counts.length; bin++) clipped[clipped.length - 1]! += counts[bin]!
  const total = clipped.reduce((sum, count) => sum + count, 0)
  const inside = kept.reduce((sum, count) => sum + count, 0)
  if (total === 0 || inside === 0) return 0
  let divergence = 0
  for (let level = 0; level < LEVELS; level++) {
    const from = Math.floor((level * kept.length) / LEVELS)
    const to = Math.floor(((level + 1) * kept.length) / LEVELS)
    let [sum, used] = [0, 0]
    for (let bin = from; bin < to; bin++) {
      sum += kept[bin]!
      if (clipped[bin]! > 0) used++
    }
    // Where only outliers ended there is nothing to compare with: half a value keeps the logarithm finite.
    const expected = Math.max(sum, 0.5) / Math.max(1, used) / inside
    for (let bin = from; bin < to; bin++) {
      const share = clipped[bin]! / total
      if (share > 0) divergence += share * Math.log(share / expected)
    }
  }
  return divergence
}
