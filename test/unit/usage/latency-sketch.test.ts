import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import {
  addLatency,
  emptySketch,
  type LatencySketch,
  LatencySketchCodec,
  latencyAt,
  mergeSketches,
  sketchCount,
} from '../../../layers/core/domain/latency-sketch.ts'

const sketchOf = (values: readonly number[]): LatencySketch => {
  const sketch = emptySketch()
  for (const value of values) addLatency(sketch, value)
  return sketch
}
const content = ({ level, bins }: LatencySketch) => ({ level, bins: [...bins].sort(([a], [b]) => a - b) })
const latencies = fc.array(fc.double({ min: 1, max: 9e8, noNaN: true }), { maxLength: 300 })
/** Values spread over so many bins that sketches collapse. */
const wide = fc.array(
  fc.integer({ min: 0, max: 1000 }).map((bin) => 1.0202 ** bin),
  { minLength: 400, maxLength: 900 },
)

const trueAt = (values: readonly number[], share: number) =>
  [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? Number.NaN

describe('latency sketch', () => {
  it('answers any percentile within 1 %', () => {
    fc.assert(
      fc.property(
        latencies.filter((values) => values.length > 0),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, share) => {
          const sketch = sketchOf(values)
          const truth = trueAt(values, share)
          const tolerance = 1.01 ** (2 ** sketch.level) - 1 + 1e-9
          expect(Math.abs((latencyAt(sketch, share) ?? Number.NaN) - truth) / truth).toBeLessThanOrEqual(tolerance)
          if (new Set(values).size <= 480) expect(sketch.level).toBe(0)
        },
      ),
    )
  })

  it('does not care for the order or grouping of merges', () => {
    fc.assert(
      fc.property(fc.oneof(latencies, wide), fc.oneof(latencies, wide), fc.oneof(latencies, wide), (a, b, c) => {
        const [sa, sb, sc] = [sketchOf(a), sketchOf(b), sketchOf(c)]
        const whole = content(sketchOf([...a, ...b, ...c]))
        expect(content(mergeSketches([mergeSketches([sa, sb]), sc]))).toEqual(whole)
        expect(content(mergeSketches([sa, mergeSketches([sc, sb])]))).toEqual(whole)
        expect(content(mergeSketches([sc, sb, sa]))).toEqual(whole)
      }),
      { numRuns: 60 },
    )
  })

  it('leaves what it merges alone', () => {
    const parts = [sketchOf([1, 5, 900]), sketchOf([7])]
    const before = parts.map(content)
    mergeSketches(parts)
    expect(parts.map(content)).toEqual(before)
  })

  it('survives JSON, also with large counts', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: 1100 }), fc.integer({ min: 1, max: 2 ** 45 })), {
          selector: ([bin]) => bin,
        }),
        (entries) => {
          const sketch = { level: 0, bins: new Map(entries) }
          const json = JSON.stringify(z.encode(LatencySketchCodec, sketch))
          expect(content(LatencySketchCodec.parse(JSON.parse(json)))).toEqual(content(sketch))
        },
      ),
    )
  })

  it('stays below 2 kB and within 1 % for two million requests from half a millisecond to a minute', () => {
    let seed = 42
    const random = () => {
      seed = (seed * 1_664_525 + 1_013_904_223) % 2 ** 32
      return (seed + 1) / (2 ** 32 + 1)
    }
    const values = new Float64Array(2_000_000).map(
      () => 500 * Math.exp(Math.abs(Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random())) * 1.5),
    )
    const sketch = emptySketch()
    for (const value of values) addLatency(sketch, value)
    expect(JSON.stringify(z.encode(LatencySketchCodec, sketch)).length).toBeLessThan(2000)
    expect(sketch.level).toBe(0)
    values.sort()
    for (const share of [0.5, 0.95, 0.99]) {
      const truth = values[Math.floor(share * (values.length - 1))] ?? 0
      expect(Math.abs((latencyAt(sketch, share) ?? 0) / truth - 1)).toBeLessThan(0.0101)
    }
    expect(sketchCount(sketch)).toBe(2_000_000)
  })

  it('says nothing about nothing', () => {
    expect(latencyAt(emptySketch(), 0.5)).toBeUndefined()
    expect(LatencySketchCodec.safeParse({ level: -1, bins: '' }).success).toBe(false)
  })
})
