import { describe, expect, it } from 'vitest'
import { observe, rangesOf } from '../../../layers/onnx/calibrate/calibrate.ts'
import type { ModelProto } from '../../../layers/onnx/codec/schema.ts'
import type { Feeds } from '../../../layers/onnx/evaluate/tensors.ts'
import { makeNode, makeTensor } from '../../../layers/onnx/graph/build.ts'
import { quantizeDynamic } from '../../../layers/onnx/quantize/dynamic-int8.ts'
import { referenceFor, sqnrAgainst } from '../../../layers/onnx/quantize/measure.ts'
import { dropWorst, holdWithFewestDropped, sensitivityList } from '../../../layers/onnx/quantize/sensitivity.ts'
import { defaultSmoothSettings, smooth, smoothedValues } from '../../../layers/onnx/quantize/smooth.ts'
import { quantizeStatic } from '../../../layers/onnx/quantize/static/quantize-static.ts'
import { defaultStaticSettings } from '../../../layers/onnx/quantize/static/settings.ts'
import { chooseWeightType } from '../../../layers/onnx/quantize/weight-type.ts'
import type { WeightType } from '../../../layers/onnx/quantize/weights.ts'
import { copyOf, model, operators, seededGraphs, sqnrOf } from './seeded-graphs.ts'

const { normals, weight, sample } = seededGraphs(31)

/** Three products in a row; the middle one reads a value with one channel a hundred times the others. */
const uneven = () => {
  const loud = makeTensor(
    'loud',
    [16],
    Float32Array.from({ length: 16 }, (_, at) => (at === 5 ? 100 : 1)),
  )
  const soft = weight('b', [16, 16])
  const values = new Float32Array(soft.raw_data?.buffer ?? new ArrayBuffer(0))
  // What reads the loud channel is as much softer, so that the other channels decide the answer.
  for (let at = 0; at < 16; at++) values[5 * 16 + at]! /= 100
  return model(
    [
      makeNode('MatMul', ['x', 'a'], ['first']),
      makeNode('Tanh', ['first'], ['t']),
      makeNode('Mul', ['t', 'loud'], ['l']),
      makeNode('MatMul', ['l', 'b'], ['second']),
      makeNode('Tanh', ['second'], ['u']),
      makeNode('MatMul', ['u', 'c'], ['y']),
    ],
    [weight('a', [16, 16]), loud, soft, weight('c', [16, 8])],
    ['n', 16],
  )
}
const feeds = Array.from({ length: 6 }, () => sample([8, 16]))
const products = ['first', 'second', 'y']

const statics = async (original: ModelProto, samples: readonly Feeds[]) => {
  const ranges = rangesOf(await observe(copyOf(original), samples), { method: 'min_max' })
  return (exclude: ReadonlySet<string>) => {
    const changed = copyOf(original)
    quantizeStatic(changed, ranges, { ...defaultStaticSettings, nodes_to_exclude: [...exclude] })
    return changed
  }
}

describe('mixed precision by measured sensitivity', () => {
  it('finds the node that costs most, and drops it alone', async () => {
    const original = uneven()
    const build = await statics(original, feeds)
    const reference = await referenceFor(copyOf(original), feeds)
    const list = await sensitivityList(reference, products, build)
    expect(list.map(({ node }) => node)[0]).toBe('second')
    expect(list).toHaveLength(3)
    expect((list[1]?.sqnr_db ?? 0) - (list[0]?.sqnr_db ?? 0)).toBeGreaterThan(10)
    const all = await sqnrAgainst(reference, dropWorst(list, 0, build))
    const without = await sqnrAgainst(reference, dropWorst(list, 1, build))
    expect(without).toBeGreaterThan(all + 8)
    const held = await holdWithFewestDropped(reference, list, build, (all + without) / 2)
    expect(held.dropped).toEqual(['second'])
    expect(held.sqnr_db).toBe(without)
    expect((await holdWithFewestDropped(reference, list, build, all - 1)).dropped).toEqual([])
    await expect(holdWithFewestDropped(reference, list, build, 150)).rejects.toThrow(
      /No mix keeps 150 dB.*most sensitive is "second"/,
    )
  })

  it('stops ranking when time is up', async () => {
    const original = uneven()
    const reference = await referenceFor(copyOf(original), feeds)
    expect(await sensitivityList(reference, products, await statics(original, feeds), { until_ms: 0 })).toEqual([])
  })
})

describe('the weight type', () => {
  it('is measured where int16 sums may saturate, and known where they cannot', async () => {
    const original = model([makeNode('MatMul', ['x', 'w'], ['y'])], [weight('w', [64, 16])], ['n', 64])
    const samples = [sample([8, 64]), sample([8, 64])]
    const reference = await referenceFor(copyOf(original), samples)
    const built: WeightType[] = []
    const build = (weight_type: WeightType) => {
      built.push(weight_type)
      const changed = copyOf(original)
      quantizeDynamic(changed, { weight_type, conv: 'none', gather: false, min_elements: 1 })
      return changed
    }
    expect(await chooseWeightType('vnni', reference, build)).toEqual({ weight_type: 's8', sqnr_db: {} })
    expect(built).toEqual([])
    const measured = await chooseWeightType('avx2', reference, build)
    expect(built).toEqual(['s7', 'u8'])
    // One bit of the weights is worth some dB here, so the slower, finer type wins, unless less is enough.
    expect(measured.sqnr_db.u8).toBeGreaterThan((measured.sqnr_db.s7 ?? 0) + 1)
    expect(measured.weight_type).toBe('u8')
    expect((await chooseWeightType('avx2', reference, build, 20)).weight_type).toBe('s7')
  })
})

describe('SmoothQuant', () => {
  const peaksOf = async (original: ModelProto) => {
    const values = smoothedValues(original)
    const seen = await observe(copyOf(original), feeds, { names: [...values], channels: values })
    return new Map([...seen].flatMap(([name, { channel_peaks }]) => (channel_peaks ? [[name, channel_peaks] as const] : [])))
  }
  const quantizedSqnr = async (original: ModelProto, source: ModelProto) => {
    const changed = copyOf(source)
    quantizeDynamic(changed, { weight_type: 'u8', conv: 'none', gather: false, min_elements: 1 })
    return sqnrOf(original, changed, feeds)
  }

  /** LayerNorm with a loud channel before two products. */
  const normalised = (written_out: boolean) => {
    const gamma = makeTensor(
      'gamma',
      [16],
      Float32Array.from({ length: 16 }, (_, at) => (at === 3 ? 60 : 1)),
    )
    const before = written_out
      ? [makeNode('Mul', ['x', 'gamma'], ['g']), makeNode('Add', ['beta', 'g'], ['n'])]
      : [makeNode('LayerNormalization', ['x', 'gamma', 'beta'], ['n'])]
    const soft = (name: string) => {
      const tensor = weight(name, [16, 16])
      const values = new Float32Array(tensor.raw_data?.buffer ?? new ArrayBuffer(0))
      for (let at = 0; at < 16; at++) values[3 * 16 + at]! /= 60
      return tensor
    }
    const nodes = [
      ...before,
      makeNode('MatMul', ['n', 'q'], ['a']),
      makeNode('MatMul', ['n', 'k'], ['b']),
      makeNode('Mul', ['a', 'b'], ['y']),
    ]
    return model(nodes, [gamma, makeTensor('beta', [16], normals(16)), soft('q'), soft('k')], ['n', 16])
  }

  it.each([
    true,
    false,
  ])('folds into the normalisation before (written out: %s), exactly, and makes 8 bits enough', async (written_out) => {
    const original = normalised(written_out)
    const changed = copyOf(original)
    const report = smooth(changed, await peaksOf(original))
    expect(report).toEqual({ folded: ['n'], inserted: [], left: {} })
    expect(operators(changed)).toEqual(operators(original))
    expect(await sqnrOf(original, changed, feeds)).toBeGreaterThan(110)
    expect(await quantizedSqnr(original, changed)).toBeGreaterThan((await quantizedSqnr(original, original)) + 6)
  })

  it('inserts a Mul where nothing can take the factors, or leaves it', async () => {
    const original = uneven()
    const peaks = await peaksOf(original)
    const changed = copyOf(original)
    const report = smooth(changed, peaks)
    expect(report.folded).toEqual(['l'])
    expect(report.inserted).toEqual(['x', 'u'])
    expect(await sqnrOf(original, changed, feeds)).toBeGreaterThan(110)
    expect(smooth(copyOf(original), peaks, { ...defaultSmoothSettings, insert_mul: false })).toEqual({
      folded: ['l'],
      inserted: [],
      left: { 'nothing before takes the factors': 2 },
    })
    expect(smooth(copyOf(original), new Map()).left).toEqual({ 'no peaks were observed': 3 })
  })
})
