import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { observe, rangesOf } from '../../../layers/onnx/calibrate/calibrate.ts'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import type { ModelProto, NodeProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import type { Feeds } from '../../../layers/onnx/evaluate/tensors.ts'
import { floatAttr, intAttr, intsAttr, makeNode, makeTensor, scalarTensor } from '../../../layers/onnx/graph/build.ts'
import { opsetOf } from '../../../layers/onnx/graph/opsets.ts'
import { mainGraph, walkTensors } from '../../../layers/onnx/graph/walk.ts'
import { auditFusion } from '../../../layers/onnx/quantize/audit.ts'
import { quantizeStatic } from '../../../layers/onnx/quantize/static/quantize-static.ts'
import { defaultStaticSettings, type StaticSettings } from '../../../layers/onnx/quantize/static/settings.ts'
import { copyOf, model, operators, seededGraphs, sqnrOf } from './seeded-graphs.ts'

const folder = mkdtempSync(join(tmpdir(), 'static-'))
afterAll(() => rmSync(folder, { recursive: true }))
const { weight, sample, normals } = seededGraphs(3)

async function quantized(original: ModelProto, samples: Feeds[], settings: Partial<StaticSettings> = {}) {
  const ranges = rangesOf(await observe(copyOf(original), samples), { method: 'min_max' })
  const changed = copyOf(original)
  const report = quantizeStatic(changed, ranges, { ...defaultStaticSettings, ...settings })
  return { changed, report, sqnr_db: await sqnrOf(original, changed, samples) }
}
const fused = (changed: ModelProto) => auditFusion(encodeModel(changed), join(folder, 'fused.onnx'))

const padded = [intsAttr('pads', [1, 1, 1, 1])]
const conv = (input: string, output: string, name: string, attributes = padded): NodeProto =>
  makeNode('Conv', [input, `${name}_w`, `${name}_b`], [output], { attributes })
const image = [1, 8, 10, 10]
const convWeights = (name: string) => [weight(`${name}_w`, [8, 8, 3, 3], 0.15), weight(`${name}_b`, [8])]

/** Two convolutions with a residual, pooling and a classifier. */
const residual = () =>
  model(
    [
      conv('x', 'c1', 'one'),
      makeNode('Relu', ['c1'], ['r1']),
      conv('r1', 'c2', 'two'),
      makeNode('Add', ['c2', 'r1'], ['s']),
      makeNode('Relu', ['s'], ['r2']),
      makeNode('MaxPool', ['r2'], ['p'], { attributes: [intsAttr('kernel_shape', [2, 2]), intsAttr('strides', [2, 2])] }),
      makeNode('Concat', ['p', 'p'], ['k'], { attributes: [intAttr('axis', 1)] }),
      makeNode('GlobalAveragePool', ['k'], ['g']),
      makeNode('Flatten', ['g'], ['f']),
      makeNode('Gemm', ['f', 'd_w', 'd_b'], ['z'], {
        attributes: [intAttr('transB', 1), floatAttr('alpha', 0.5), floatAttr('beta', 2)],
      }),
      makeNode('Softmax', ['z'], ['y']),
    ],
    [...convWeights('one'), ...convWeights('two'), weight('d_w', [10, 16]), weight('d_b', [10])],
    image,
  )

describe('static quantization', () => {
  it('turns a residual network into integer kernels from end to end', async () => {
    const { changed, report, sqnr_db } = await quantized(residual(), [sample(image), sample(image), sample(image)])
    expect(report.quantized).toEqual({ Conv: 2, Add: 1, MaxPool: 1, Concat: 1, GlobalAveragePool: 1, Flatten: 1, Gemm: 1 })
    expect(report.absorbed).toBe(2)
    const { leftovers, operators: after } = await fused(changed)
    expect(leftovers).toEqual([])
    expect(after).toMatchObject({
      QLinearConv: 2,
      QLinearAdd: 1,
      MaxPool: 1,
      QLinearConcat: 1,
      QLinearGlobalAveragePool: 1,
      QGemm: 1,
    })
    // One step in and, behind the last product, none out: it yields floats.
    expect([after.QuantizeLinear, after.DequantizeLinear ?? 0, after.Relu]).toEqual([1, 0, undefined])
    expect(sqnr_db).toBeGreaterThan(30)
  })

  it('stores int8 weights and int32 biases at the scale of the sums, and no float weight', async () => {
    const { changed } = await quantized(residual(), [sample(image)], { weight_type: 's8' })
    const tensors = new Map([...walkTensors(changed)].map((tensor) => [tensor.name, tensor]))
    expect(tensors.get('one_w_quantized')).toMatchObject({ data_type: DataType.INT8, dims: [8, 8, 3, 3] })
    expect(tensors.get('one_b_int32')).toMatchObject({ data_type: DataType.INT32, dims: [8] })
    const scales = (name: string) => {
      const raw = tensors.get(name)?.raw_data ?? new Uint8Array(0)
      return new Float32Array(raw.slice().buffer)
    }
    const expected = scales('one_w_scale').map((scale) => scale * (scales('x_scale')[0] ?? 0))
    for (const [at, scale] of scales('one_b_scale').entries()) expect(scale).toBeCloseTo(expected[at] ?? 0, 10)
    expect([...tensors.values()].filter(({ data_type, dims }) => data_type === DataType.FLOAT && dims.length > 1)).toEqual([])
  })

  it.each<[string, NodeProto, ReturnType<typeof scalarTensor>[], number]>([
    ['Clip', makeNode('Clip', ['c', 'low', 'high'], ['y']), [scalarTensor('low', 0), scalarTensor('high', 0.4)], 1],
    ['Max', makeNode('Max', ['low', 'c'], ['y']), [scalarTensor('low', -0.2)], 1],
    ['Min', makeNode('Min', ['c', 'high'], ['y']), [scalarTensor('high', 0.3)], 1],
    [
      'a Max with one value per channel, which rounding cannot repeat,',
      makeNode('Max', ['c', 'low'], ['y']),
      [weight('low', [8, 1, 1])],
      0,
    ],
  ])('lets the rounding do the work of %s', async (_, activation, limits, absorbed) => {
    const original = model([conv('x', 'c', 'one'), activation], [...convWeights('one'), ...limits], image)
    const { report, sqnr_db } = await quantized(original, [sample(image), sample(image)])
    expect(report.absorbed).toBe(absorbed)
    expect(sqnr_db).toBeGreaterThan(30)
  })

  it('keeps activations where it is asked to, or where a symmetric range could not clip', async () => {
    const original = model([conv('x', 'c', 'one'), makeNode('Relu', ['c'], ['y'])], convWeights('one'), image)
    const kept = await quantized(original, [sample(image)], { keep_removable_activations: true })
    expect(operators(kept.changed)).toContain('Relu')
    expect((await fused(kept.changed)).operators.QLinearConv).toBe(1)
    const symmetric = await quantized(original, [sample(image)], {
      activation_symmetric: true,
      activation_type: 's8',
      weight_type: 's8',
    })
    expect(operators(symmetric.changed)).toContain('Relu')
    expect(symmetric.sqnr_db).toBeGreaterThan(25)
  })

  it('keeps channels of very different size apart; one scale for all would lose the small ones', async () => {
    const uneven = weight('one_w', [8, 8, 3, 3])
    const values = new Float32Array(uneven.raw_data?.buffer ?? new ArrayBuffer(0))
    values.forEach((value, at) => {
      values[at] = value * 10 ** (Math.floor(at / 72) / 2 - 3)
    })
    const equal = makeTensor(
      'equal',
      [8, 1, 1],
      Float32Array.from({ length: 8 }, (_, channel) => 10 ** (3 - channel / 2)),
    )
    const nodes = [makeNode('Conv', ['x', 'one_w'], ['c'], { attributes: padded }), makeNode('Mul', ['c', 'equal'], ['y'])]
    const original = model(nodes, [uneven, equal], image)
    // The product's own output has one range for all channels: only the weights are looked at here.
    const weightError = async (settings: Partial<StaticSettings>) => {
      const { changed } = await quantized(original, [sample(image)], settings)
      const tensors = new Map([...walkTensors(changed)].map((tensor) => [tensor.name, tensor]))
      const codes = tensors.get('one_w_quantized')?.raw_data?.subarray(0, 72) ?? new Uint8Array(0)
      return new Set(codes).size
    }
    expect(await weightError({})).toBeGreaterThan(40)
    expect(await weightError({ per_channel: false })).toBe(1)
    expect(await weightError({ overrides: { one_w: { per_channel: false } } })).toBe(1)
  })

  it('raises the weight scale where a bias would not fit int32', async () => {
    const tiny = makeTensor('w', [16, 4], normals(64, 1e-9))
    const bias = makeTensor('b', [4], Float32Array.of(50, -50, 20, 1))
    const original = model([makeNode('Gemm', ['x', 'w', 'b'], ['y'])], [tiny, bias], ['n', 16])
    const { sqnr_db } = await quantized(original, [sample([2, 16])])
    expect(sqnr_db).toBeGreaterThan(60)
  })

  it('does what the options say', async () => {
    const samples = [sample(image)]
    const settled = async (settings: Partial<StaticSettings>) => (await quantized(residual(), samples, settings)).report.quantized
    expect(await settled({ op_types_to_quantize: ['Conv', 'Relu'] })).toEqual({ Conv: 2 })
    expect(await settled({ nodes_to_exclude: ['c1'] })).toMatchObject({ Conv: 1, Gemm: 1 })
    expect(await settled({ nodes_to_quantize: [/^z$/] })).toEqual({ Gemm: 1 })
    expect(await settled({ min_elements: 500 })).toMatchObject({ Conv: 2 })
    expect((await settled({ min_elements: 500 })).Gemm).toBeUndefined()
    const scaleOfInput = async (settings: Partial<StaticSettings>) => {
      const { changed } = await quantized(residual(), samples, settings)
      const raw = mainGraph(changed).initializer.find(({ name }) => name === 'x_scale')?.raw_data ?? new Uint8Array(4)
      return new Float32Array(raw.slice().buffer)[0]
    }
    expect(await scaleOfInput({ overrides: { x: { scale: 0.125, zero_point: 100 } } })).toBe(0.125)
    expect(await scaleOfInput({ minimum_real_range: 255 })).toBe(1)
    expect(await scaleOfInput({ overrides: { x: { min: -1, max: 1.55 } } })).toBeCloseTo(0.01, 6)
  })

  it('leaves floats alone where nobody wants 8 bits', async () => {
    // Two products, a sum and a reshape, but everything is read as floats: only the inputs are rounded.
    const original = model(
      [
        makeNode('MatMul', ['x', 'u'], ['a']),
        makeNode('MatMul', ['x', 'v'], ['b']),
        makeNode('Add', ['a', 'b'], ['s']),
        makeNode('Flatten', ['s'], ['t']),
        makeNode('Tanh', ['t'], ['y']),
      ],
      [weight('u', [16, 8]), weight('v', [16, 8])],
      ['n', 16],
    )
    const { report, changed } = await quantized(original, [sample([4, 16])])
    expect(report.quantized).toEqual({ MatMul: 2 })
    expect(operators(changed).filter((operator) => operator === 'QuantizeLinear')).toHaveLength(1)
  })

  it('multiplies two computed values in 8 bits only when it is asked to', async () => {
    const nodes = [
      makeNode('MatMul', ['x', 'u'], ['a']),
      makeNode('Transpose', ['x'], ['t'], { attributes: [intsAttr('perm', [1, 0])] }),
      makeNode('MatMul', ['a', 't'], ['p']),
      makeNode('Softmax', ['p'], ['y']),
    ]
    const original = model(nodes, [weight('u', [16, 16])], [8, 16])
    const samples = [sample([8, 16]), sample([8, 16])]
    expect((await quantized(original, samples)).report).toMatchObject({
      quantized: { MatMul: 1 },
      left: { 'weight is computed': 1 },
    })
    const { changed, report, sqnr_db } = await quantized(original, samples, { matmul_const_b_only: false })
    expect(report.quantized).toEqual({ MatMul: 2 })
    const { leftovers, operators: after } = await fused(changed)
    expect([leftovers.length, after.MatMul, after.MatMulIntegerToFloat]).toEqual([0, undefined, 1])
    expect(sqnr_db).toBeGreaterThan(20)
  })

  it('raises an old operator set, Clip attributes included', async () => {
    const clip = makeNode('Clip', ['c'], ['y'], { attributes: [floatAttr('min', 0), floatAttr('max', 1)] })
    const original = model([conv('x', 'c', 'one'), clip], convWeights('one'), image, { opset: 10 })
    const { changed, report, sqnr_db } = await quantized(original, [sample(image)])
    expect([opsetOf(changed), report.absorbed]).toEqual([13, 1])
    expect(sqnr_db).toBeGreaterThan(30)
  })
})
