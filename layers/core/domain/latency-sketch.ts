import * as z from 'zod'

/**
 * A mergeable summary of latencies: counts in logarithmic bins, so that any percentile is within 1 % of the true one.
 * After DDSketch (Masson, Rim, Lee, VLDB 2019) with the uniform collapse of UDDSketch (Epicoco et al., 2020): when more than
 * `maxBins` bins are in use, neighbours join and the relative error doubles, from `level` n to n + 1. 480 full bins at level 0
 * span a factor of 15,000 between the fastest and the slowest request, so level 1 (2 %) is rare.
 * The result depends on the multiset of values alone: merging is associative and commutative.
 */
export interface LatencySketch {
  level: number
  /** Bin index → count; bin i holds (γ^(i−1), γ^i] microseconds with γ = (1.01 / 0.99)^(2^level). */
  bins: Map<number, number>
}

const relativeError = 0.01
const gamma = (1 + relativeError) / (1 - relativeError)
const binsPerLog = 1 / Math.log(gamma)
const maxBins = 480

export const emptySketch = (): LatencySketch => ({ level: 0, bins: new Map() })

const binOf = (latency_us: number, level: number): number => {
  const index = latency_us <= 1 ? 0 : Math.ceil(Math.log(latency_us) * binsPerLog)
  return level === 0 ? index : Math.ceil(index / 2 ** level)
}

const add = (bins: Map<number, number>, index: number, count: number) => bins.set(index, (bins.get(index) ?? 0) + count)

const collapse = (sketch: LatencySketch, level: number) => {
  if (sketch.level === level) return
  const joined = new Map<number, number>()
  for (const [index, count] of sketch.bins) add(joined, Math.ceil(index / 2 ** (level - sketch.level)), count)
  sketch.level = level
  sketch.bins = joined
}

/** Adds one latency in place. */
export const addLatency = (sketch: LatencySketch, latency_us: number): void => {
  add(sketch.bins, binOf(latency_us, sketch.level), 1)
  while (sketch.bins.size > maxBins) collapse(sketch, sketch.level + 1)
}

/** A new sketch of everything in all of them. */
export const mergeSketches = (sketches: Iterable<LatencySketch>): LatencySketch => {
  const merged = emptySketch()
  for (const sketch of sketches) {
    const addend = { level: sketch.level, bins: sketch.bins }
    const level = Math.max(merged.level, sketch.level)
    collapse(merged, level)
    collapse(addend, level)
    for (const [index, count] of addend.bins) add(merged.bins, index, count)
    while (merged.bins.size > maxBins) collapse(merged, merged.level + 1)
  }
  return merged
}

export const sketchCount = (sketch: LatencySketch): number => sketch.bins.values().reduce((sum, count) => sum + count, 0)

/** The value of rank ⌊share × (n − 1)⌋ in microseconds, e.g. share 0.95; undefined when nothing was added. */
export const latencyAt = (sketch: LatencySketch, share: number): number | undefined => {
  const rank = Math.floor(share * (sketchCount(sketch) - 1))
  const base = gamma ** (2 ** sketch.level)
  let seen = 0
  for (const [index, count] of [...sketch.bins].sort(([a], [b]) => a - b)) {
    seen += count
    if (seen > rank) return (2 * base ** index) / (base + 1)
  }
  return undefined
}

const pushVarint = (bytes: number[], value: number) => {
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  bytes.push(rest)
}

/** Counts of consecutive bins as LEB128; a 0 is followed by how many empty bins to skip. */
const packBins = (bins: Map<number, number>): string => {
  const bytes: number[] = []
  let next = 0
  for (const [index, count] of [...bins].sort(([a], [b]) => a - b)) {
    if (index > next) {
      bytes.push(0)
      pushVarint(bytes, index - next)
    }
    pushVarint(bytes, count)
    next = index + 1
  }
  return Buffer.from(bytes).toString('base64')
}

const unpackBins = (packed: string): Map<number, number> => {
  const bytes = Buffer.from(packed, 'base64')
  const bins = new Map<number, number>()
  let at = 0
  const varint = () => {
    let value = 0
    let unit = 1
    for (; (bytes[at] ?? 0) >= 128; at++, unit *= 128) value += ((bytes[at] ?? 0) - 128) * unit
    return value + (bytes[at++] ?? 0) * unit
  }
  for (let index = 0; at < bytes.length; ) {
    const count = varint()
    if (count === 0) index += varint()
    else bins.set(index++, count)
  }
  return bins
}

/** As stored: at most about 2 kB of JSON. */
export const StoredSketch = z.object({ level: z.number().int().min(0), bins: z.base64() })

export const LatencySketchCodec = z.codec(StoredSketch, z.custom<LatencySketch>(), {
  decode: ({ level, bins }) => ({ level, bins: unpackBins(bins) }),
  encode: ({ level, bins }) => ({ level, bins: packBins(bins) }),
})
