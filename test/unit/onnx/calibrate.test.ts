import { describe, expect, it } from 'vitest'
import { observe, rangesOf } from '../../../layers/onnx/calibrate/calibrate.ts'
import { addToHistogram, countOf, emptyHistogram } from '../../../layers/onnx/calibrate/histogram.ts'
import { eachTap, groupsBySize } from '../../../layers/onnx/calibrate/tap.ts'
import { entropyRange, mseRange, percentileRange, type Range } from '../../../layers/onnx/calibrate/thresholds.ts'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import { readModel } from '../../../layers/onnx/codec/read-model.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { graphAttr, intAttr, makeGraph, makeNode, makeTensor, makeValueInfo } from '../../../layers/onnx/graph/build.ts'
import { quantizeValues, scaleFor } from '../../../layers/onnx/quantize/static/scales.ts'
import { copyOf, floatValue, model, seededGraphs } from './seeded-graphs.ts'

const { normals, weight, sample } = seededGraphs(9)

const histogramOf = (...parts: Float32Array[]) => {
  const histogram = emptyHistogram()
  for (const part of parts)
    addToHistogram(
      histogram,
      part,
      part.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0),
    )
  return histogram
}
const ends = (values: Float32Array): Range => ({ min: Math.min(...values), max: Math.max(...values) })

/** Cubes of normal numbers: many small ones, few very large. */
const heavyTailed = (count: number) => normals(count).map((value) => value ** 3)

/** Σ of squared errors of 8-bit values in a range. */
const errorIn = (values: Float32Array, range: Range): number => {
  const scale = scaleFor(range, { activation_type: 'u8' })
  const codes = quantizeValues(values, scale)
  return values.reduce((sum, value, at) => sum + (value - ((codes[at] ?? 0) - scale.zero_point) * scale.scale) ** 2, 0)
}

describe('histograms that grow', () => {
  it('keep every value when the range doubles, and zeros apart', () => {
    const parts = [Float32Array.of(0, 0.5, -0.25), Float32Array.of(3, -7.9, 0), Float32Array.of(100)]
    const histogram = histogramOf(...parts)
    expect([countOf(histogram), histogram.zeros, histogram.limit]).toEqual([7, 2, 128])
  })

  it('cut off the share of values that was asked for, whatever order they came in', () => {
    const values = normals(50_000)
    const sorted = values.toSorted()
    for (const histogram of [histogramOf(values), histogramOf(values.subarray(0, 100), values.subarray(100))]) {
      const range = percentileRange(histogram, ends(values), 99)
      expect(range.min).toBeCloseTo(sorted[250] ?? 0, 2)
      expect(range.max).toBeCloseTo(sorted[49_749] ?? 0, 2)
    }
  })

  it('never clip into the zeros, and bear nothing but zeros', () => {
    const relu = normals(1000).map((value) => Math.max(0, value))
    expect(percentileRange(histogramOf(relu), ends(relu), 90).min).toBe(0)
    const nothing = histogramOf(new Float32Array(50))
    for (const range of [
      mseRange(nothing, { min: 0, max: 0 }),
      entropyRange(nothing, { min: 0, max: 0 }),
      percentileRange(nothing, { min: 0, max: 0 }, 99),
    ])
      expect([Math.abs(range.min), Math.abs(range.max)]).toEqual([0, 0])
  })

  it('find by squared error the range that trying all of them finds', () => {
    const values = heavyTailed(20_000)
    const whole = ends(values)
    const shares = Array.from({ length: 12 }, (_, at) => 1 - at / 14)
    const tried = shares.flatMap((low) => shares.map((high) => errorIn(values, { min: whole.min * low, max: whole.max * high })))
    const found = errorIn(values, mseRange(histogramOf(values), whole))
    expect(found).toBeLessThan(Math.min(...tried) * 1.02)
    expect(found).toBeLessThan(errorIn(values, whole))
    // And without outliers it clips almost nothing.
    const plain = normals(20_000)
    expect(errorIn(plain, mseRange(histogramOf(plain), ends(plain)))).toBeLessThanOrEqual(errorIn(plain, ends(plain)) * 1.02)
  })

  it('clip by entropy without ever ending at nothing', () => {
    const values = heavyTailed(50_000)
    const found = entropyRange(histogramOf(values), ends(values))
    expect(found.max).toBeLessThan(ends(values).max * 0.8)
    expect(found.max).toBeGreaterThan(2)
  })

  it('widen ranges over zero and say zero exactly', () => {
    expect(scaleFor({ min: 2, max: 5.1 }, { activation_type: 'u8' })).toMatchObject({ zero_point: 0, scale: Math.fround(0.02) })
    const scale = scaleFor({ min: -1, max: 3 }, { activation_type: 's8' })
    expect(quantizeValues(Float32Array.of(0), scale)[0]).toBe(scale.zero_point)
    expect(scaleFor({ min: 0, max: 0 }, { activation_type: 'u8' }).scale).toBe(1)
  })
})

describe('one tapped run', () => {
  const branch = (name: string) =>
    makeGraph({ name, nodes: [makeNode('Neg', ['m'], [`${name}_y`])], outputs: [makeValueInfo(`${name}_y`, DataType.FLOAT)] })
  const original = () =>
    model(
      [
        makeNode('MatMul', ['x', 'w'], ['m']),
        makeNode('Shape', ['m'], ['s']),
        makeNode('ReduceSum', ['m'], ['sum'], { attributes: [intAttr('keepdims', 0)] }),
        makeNode('Less', ['sum', 'zero'], ['which']),
        makeNode('If', ['which'], ['i'], {
          attributes: [graphAttr('then_branch', branch('a')), graphAttr('else_branch', branch('b'))],
        }),
        makeNode('Log', ['m'], ['y']),
      ],
      [weight('w', [16, 4]), makeTensor('zero', [], new Float32Array(1))],
      ['n', 16],
    )
  const samples = [sample([2, 16]), sample([5, 16], 3), sample([1, 16])]

  it('tells type, shape and ends of every value, and skips what is not finite', async () => {
    const seen = await observe(copyOf(original()), samples, { channels: new Set(['m']) })
    expect([...seen.keys()].sort()).toEqual(['i', 'm', 's', 'sum', 'which', 'x', 'y'])
    expect(seen.get('s')).toMatchObject({ type: 'int64', dims: [2], samples: 0 })
    expect(seen.get('m')).toMatchObject({ type: 'float32', dims: [1, 4], samples: 3 })
    // Logarithms of negative numbers are no numbers.
    expect(Number.isFinite(seen.get('y')?.min)).toBe(true)
    const m = seen.get('m')
    const peaks = m?.channel_peaks ?? new Float32Array(0)
    expect(Math.max(...peaks)).toBe(Math.max(-(m?.min ?? 0), m?.max ?? 0))
    const ranges = rangesOf(seen, { method: 'min_max', symmetric: true })
    expect(ranges.get('m')?.min).toBe(-(ranges.get('m')?.max ?? 0))
    expect(ranges.has('s')).toBe(false)
  })

  it('shows the same in groups of any size', async () => {
    const bytes = encodeModel(original())
    const inGroups = async (group_bytes: number) => {
      const seen: string[] = []
      await eachTap(
        readModel(bytes),
        samples,
        (name, { data }, at) => void seen.push(`${at} ${name} ${Buffer.from(String(data))}`),
        { group_bytes },
      )
      return seen.sort()
    }
    const all = await inGroups(2 ** 30)
    expect(all).toHaveLength(7 * 3)
    expect(await inGroups(8)).toEqual(all)
    expect(
      groupsBySize(
        ['a', 'b', 'c', 'd'],
        new Map([
          ['a', 3],
          ['b', 3],
          ['c', 9],
          ['d', 1],
        ]),
        6,
      ),
    ).toEqual([['a', 'b'], ['c'], ['d']])
  })

  it('names the sample that does not run, and wants one at least', async () => {
    const wrong = { x: floatValue(normals(6), [2, 3]) }
    await expect(observe(copyOf(original()), [...samples, wrong])).rejects.toThrow(/Sample 3 cannot be run/)
    await expect(observe(copyOf(original()), [])).rejects.toThrow(/at least one sample/)
  })
})
