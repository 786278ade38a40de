/** Bins over [−limit, limit]: at 8192 a limit that has doubled still leaves sixteen bins to one step of 8 bits. */
const BINS = 8192

/** How often values of each size came, in one pass over data whose range nobody knew before. */
export interface Histogram {
  /** Non-zero values per bin, smallest first. */
  counts: Float64Array
  /** Magnitude at both ends; 0 until a non-zero value came. */
  limit: number
  /** Exact zeros, kept apart: they cost no rounding error and would hide everything else (ReLU, padding). */
  zeros: number
}

export const emptyHistogram = (): Histogram => ({ counts: new Float64Array(BINS), limit: 0, zeros: 0 })

/** Doubles the range: two neighbouring bins become one, around the middle. */
function widen(histogram: Histogram): void {
  const wider = new Float64Array(BINS)
  const first = BINS / 4
  for (let at = 0; at < BINS; at++) wider[first + (at >> 1)]! += histogram.counts[at]!
  histogram.counts = wider
  histogram.limit *= 2
}

/** Adds values, the largest of whose magnitudes is `peak`; those that are not finite are left out. */
export function addToHistogram(histogram: Histogram, values: Float32Array, peak: number): void {
  if (histogram.limit === 0) histogram.limit = peak
  if (histogram.limit > 0) while (peak > histogram.limit) widen(histogram)
  const { counts, limit } = histogram
  const half = BINS / 2
  const per_unit = limit > 0 ? half / limit : 0
  for (let at = 0; at < values.length; at++) {
    const value = values[at]!
    if (value === 0) histogram.zeros++
    else if (value - value === 0) counts[Math.min(BINS - 1, (value * per_unit + half) | 0)]!++
  }
}

/** The value in the middle of a bin. */
export const binCentre = (histogram: Histogram, bin: number): number => ((bin + 0.5) / (BINS / 2) - 1) * histogram.limit

/** Index of the bin a value falls into, at the ends for values beyond. */
export const binOf = (histogram: Histogram, value: number): number =>
  histogram.limit === 0
    ? BINS / 2
    : Math.max(0, Math.min(BINS - 1, Math.floor((value / histogram.limit) * (BINS / 2) + BINS / 2)))

/** Values counted, zeros included. */
export const countOf = (histogram: Histogram): number => histogram.counts.reduce((sum, count) => sum + count, histogram.zeros)
