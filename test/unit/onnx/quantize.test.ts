import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import { readModel } from '../../../layers/onnx/codec/read-model.ts'
import type { ModelProto, NodeProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { fidelityMeter } from '../../../layers/onnx/evaluate/fidelity.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import {
  floatAttr,
  graphAttr,
  intAttr,
  intsAttr,
  makeGraph,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
  tensorAttr,
} from '../../../layers/onnx/graph/build.ts'
import { opsetOf } from '../../../layers/onnx/graph/opsets.ts'
import { mainGraph, walkNodes, walkTensors } from '../../../layers/onnx/graph/walk.ts'
import { type DynamicInt8Settings, quantizeDynamic } from '../../../layers/onnx/quantize/dynamic-int8.ts'

const settings: DynamicInt8Settings = { weight_type: 'u8', conv: 'dense', gather: true, min_elements: 1 }
const random = seededRandom(7)
const floats = (count: number) => Float32Array.from({ length: count }, () => random() * 2 - 1)
const weight = (name: string, dims: number[]) => makeTensor(name, dims, floats(dims.reduce((a, b) => a * b, 1)))
const x = makeValueInfo('x', DataType.FLOAT, ['n', 32])
const y = makeValueInfo('y', DataType.FLOAT)
const rows = () => new Tensor('float32', floats(4 * 32), [4, 32])

const oneNode = (node: NodeProto, initializers: TensorProto[], options: { opset?: number; input?: typeof x } = {}): ModelProto =>
  makeModel(makeGraph({ nodes: [node], inputs: [options.input ?? x], outputs: [y], initializers }), {
    opsets: { '': options.opset ?? 17 },
  })

const run = async (model: ModelProto, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> => {
  const session = await InferenceSession.create(encodeModel(model), { intraOpNumThreads: 1, logSeverityLevel: 4 })
  return session.run(feeds)
}

/** SQNR in dB between a model and its quantized copy. */
const compared = async (model: ModelProto, feeds: Record<string, Tensor>, changes: Partial<DynamicInt8Settings> = {}) => {
  const before = await run(model, feeds)
  const quantized = readModel(encodeModel(model))
  const report = quantizeDynamic(quantized, { ...settings, ...changes })
  const after = await run(quantized, feeds)
  const meter = fidelityMeter(null)
  const values = (outputs: Record<string, Tensor>) =>
    Object.fromEntries(
      Object.entries(outputs).map(([name, { type, dims, data }]) => {
        if (!(data instanceof Float32Array)) throw new Error('wanted floats')
        return [name, { type, dims: [...dims], bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }]
      }),
    )
  meter.add(values(before), values(after))
  return { sqnr_db: meter.figures().sqnr_db ?? 0, report, quantized }
}
const operators = (model: ModelProto) => [...walkNodes(model)].map((node) => node.op_type)
const floatWeights = (model: ModelProto) =>
  [...walkTensors(model)].filter((tensor) => tensor.data_type === DataType.FLOAT && tensor.dims.length > 1)

describe('dynamic int8', () => {
  it('turns a MatMul into integers and leaves no float weight behind', async () => {
    const { sqnr_db, report, quantized } = await compared(
      oneNode(makeNode('MatMul', ['x', 'w'], ['y']), [weight('w', [32, 16])]),
      { x: rows() },
    )
    expect(sqnr_db).toBeGreaterThan(35)
    expect(report.quantized).toEqual({ MatMul: 1 })
    expect(operators(quantized)).toEqual(['DynamicQuantizeLinear', 'MatMulInteger', 'Cast', 'Mul', 'Mul'])
    expect(floatWeights(quantized)).toEqual([])
    expect(mainGraph(quantized).output.map(({ name }) => name)).toEqual(['y'])
  })

  it.each([
    { transB: 0, transA: 0, alpha: 1, beta: 1 },
    { transB: 1, transA: 0, alpha: 0.5, beta: 1 },
    { transB: 1, transA: 0, alpha: -2, beta: 0.25 },
    { transB: 0, transA: 1, alpha: 1, beta: 3 },
  ])('keeps what Gemm means with %o', async ({ transB, transA, alpha, beta }) => {
    const attributes = [intAttr('transA', transA), intAttr('transB', transB), floatAttr('alpha', alpha), floatAttr('beta', beta)]
    const node = makeNode('Gemm', ['x', 'w', 'c'], ['y'], { attributes })
    const inner = transA ? 4 : 32
    const model = oneNode(node, [weight('w', transB ? [16, inner] : [inner, 16]), weight('c', [16])])
    const { sqnr_db, report } = await compared(model, { x: rows() })
    expect(report.quantized).toEqual({ Gemm: 1 })
    expect(sqnr_db).toBeGreaterThan(35)
  })

  it('quantizes an embedding by rows and reads only the rows asked for', async () => {
    const table = weight('table', [50, 24])
    if (table.raw_data) new Float32Array(table.raw_data.buffer, table.raw_data.byteOffset, 24).fill(1000)
    const input = makeValueInfo('x', DataType.INT64, ['n'])
    const { sqnr_db, quantized } = await compared(oneNode(makeNode('Gather', ['table', 'x'], ['y']), [table], { input }), {
      x: new Tensor('int64', BigInt64Array.of(3n, 49n, 7n), [3]),
    })
    // One scale for the whole table would round every other row to nothing.
    expect(sqnr_db).toBeGreaterThan(40)
    expect(operators(quantized)).toEqual(['Gather', 'Gather', 'Cast', 'Mul'])
  })

  it.each([
    { group: 1, conv: 'dense' as const },
    { group: 8, conv: 'all' as const },
  ])('keeps what Conv means with pads, strides and bias, $group group(s)', async ({ group, conv }) => {
    const input = makeValueInfo('x', DataType.FLOAT, [1, 8, 9, 9])
    const attributes = [
      intAttr('group', group),
      intsAttr('pads', [1, 1, 1, 1]),
      intsAttr('strides', [2, 2]),
      intsAttr('kernel_shape', [3, 3]),
    ]
    const model = oneNode(
      makeNode('Conv', ['x', 'w', 'b'], ['y'], { attributes }),
      [weight('w', [16, 8 / group, 3, 3]), weight('b', [16])],
      { input },
    )
    const { sqnr_db, quantized } = await compared(
      model,
      { x: new Tensor('float32', floats(8 * 81), [1, 8, 9, 9]) },
      { conv, weight_type: 's8' },
    )
    expect(sqnr_db).toBeGreaterThan(30)
    // ConvInteger has no fast kernel for signed weights: they are unsigned whatever was asked.
    expect([...walkTensors(quantized)].some(({ data_type }) => data_type === DataType.INT8)).toBe(false)
  })

  it('leaves grouped convolutions alone unless size is all that counts', async () => {
    const input = makeValueInfo('x', DataType.FLOAT, [1, 8, 9, 9])
    const node = makeNode('Conv', ['x', 'w'], ['y'], { attributes: [intAttr('group', 8)] })
    const { report } = await compared(oneNode(node, [weight('w', [8, 1, 3, 3])], { input }), {
      x: new Tensor('float32', floats(8 * 81), [1, 8, 9, 9]),
    })
    expect(report).toEqual({ quantized: {}, left: { 'grouped convolution': 1 } })
  })

  it('keeps depthwise channels of very different size apart', async () => {
    const w = weight('w', [8, 1, 3, 3])
    const values = new Float32Array(w.raw_data?.buffer ?? new ArrayBuffer(0), w.raw_data?.byteOffset, 72)
    values.forEach((value, at) => {
      values[at] = value * 10 ** (Math.floor(at / 9) - 4)
    })
    const input = makeValueInfo('x', DataType.FLOAT, [1, 8, 9, 9])
    const nodes = [
      makeNode('Conv', ['x', 'w'], ['c'], { attributes: [intAttr('group', 8)] }),
      makeNode('Mul', ['c', 'equal'], ['y']),
    ]
    const equal = makeTensor(
      'equal',
      [8, 1, 1],
      Float32Array.from({ length: 8 }, (_, channel) => 10 ** (4 - channel)),
    )
    const model = makeModel(makeGraph({ nodes, inputs: [input], outputs: [y], initializers: [w, equal] }))
    const { sqnr_db } = await compared(model, { x: new Tensor('float32', floats(8 * 81), [1, 8, 9, 9]) }, { conv: 'all' })
    expect(sqnr_db).toBeGreaterThan(30)
  })

  it('stores a weight once that several products read, and quantizes a shared input once', async () => {
    const nodes = [
      makeNode('MatMul', ['x', 'w'], ['a']),
      makeNode('MatMul', ['x', 'w'], ['b']),
      makeNode('Add', ['a', 'b'], ['y']),
    ]
    const model = makeModel(makeGraph({ nodes, inputs: [x], outputs: [y], initializers: [weight('w', [32, 16])] }))
    const { sqnr_db, quantized } = await compared(model, { x: rows() })
    expect(sqnr_db).toBeGreaterThan(35)
    expect(operators(quantized).filter((operator) => operator === 'DynamicQuantizeLinear')).toHaveLength(1)
    expect([...walkTensors(quantized)].filter(({ dims }) => dims.length === 2)).toHaveLength(1)
  })

  it('leaves a weight alone that is also read as floats or is an output itself', async () => {
    const nodes = [
      makeNode('MatMul', ['x', 'w'], ['a']),
      makeNode('ReduceSum', ['w'], ['s'], { attributes: [intAttr('keepdims', 0)] }),
      makeNode('Add', ['a', 's'], ['y']),
    ]
    const shared = makeModel(makeGraph({ nodes, inputs: [x], outputs: [y], initializers: [weight('w', [32, 16])] }))
    expect((await compared(shared, { x: rows() })).report).toEqual({ quantized: {}, left: { 'weight also read as floats': 1 } })
    const shown = oneNode(makeNode('MatMul', ['x', 'w'], ['y']), [weight('w', [32, 16])])
    shown.graph?.output.push(makeValueInfo('w', DataType.FLOAT, [32, 16]))
    expect((await compared(shown, { x: rows() })).report.quantized).toEqual({})
  })

  it('reads weights out of Constant nodes and quantizes inside branches, captured weights included', async () => {
    const branch = (name: string, captured: string) =>
      makeGraph({
        name,
        nodes: [makeNode('MatMul', ['x', captured], [`${name}_y`])],
        outputs: [makeValueInfo(`${name}_y`, DataType.FLOAT)],
      })
    const other = branch('other', 'own')
    other.initializer.push(weight('own', [32, 16]))
    const nodes = [
      makeNode('Constant', [], ['w'], { attributes: [tensorAttr('value', weight('', [32, 16]))] }),
      makeNode('If', ['which'], ['y'], {
        attributes: [graphAttr('then_branch', branch('then', 'w')), graphAttr('else_branch', other)],
      }),
    ]
    const model = makeModel(makeGraph({ nodes, inputs: [x, makeValueInfo('which', DataType.BOOL, [])], outputs: [y] }))
    for (const which of [1, 0]) {
      const { sqnr_db, report, quantized } = await compared(model, { x: rows(), which: new Tensor('bool', [which === 1], []) })
      expect(sqnr_db).toBeGreaterThan(35)
      expect(report.quantized).toEqual({ MatMul: 2 })
      expect(floatWeights(quantized)).toEqual([])
    }
  })

  it('raises an old operator set with its meaning, Clip, Squeeze and Softmax included', async () => {
    const nodes = [
      makeNode('MatMul', ['x', 'w'], ['a']),
      makeNode('Clip', ['a'], ['b'], { attributes: [floatAttr('min', -0.5), floatAttr('max', 0.5)] }),
      makeNode('Unsqueeze', ['b'], ['c'], { attributes: [intsAttr('axes', [0])] }),
      makeNode('Squeeze', ['c'], ['d'], { attributes: [intsAttr('axes', [0])] }),
      makeNode('Softmax', ['d'], ['y']),
    ]
    const model = makeModel(makeGraph({ nodes, inputs: [x], outputs: [y], initializers: [weight('w', [32, 16])] }), {
      opsets: { '': 9 },
      ir_version: 4,
    })
    const { sqnr_db, quantized } = await compared(model, { x: rows() })
    expect(sqnr_db).toBeGreaterThan(35)
    expect(opsetOf(quantized)).toBe(11)
  })

  it('takes the contributed operator where the operator set cannot be raised', async () => {
    // Nobody can tell what broadcasting meant before 7, so the model stays at 6.
    const nodes = [makeNode('MatMul', ['x', 'w'], ['m']), makeNode('Relu', ['m'], ['y'])]
    const graph = makeGraph({ nodes, inputs: [x], outputs: [y], initializers: [weight('w', [32, 16])] })
    const model = makeModel(graph, { opsets: { '': 6 }, ir_version: 4 })
    const { sqnr_db, quantized } = await compared(model, { x: rows() })
    expect(sqnr_db).toBeGreaterThan(35)
    expect(opsetOf(quantized)).toBe(6)
    expect(opsetOf(quantized, 'com.microsoft')).toBe(1)
    expect(operators(quantized)).toContain('DynamicQuantizeMatMul')
  })

  it('writes no IR beyond 10 and no operator set nobody uses', async () => {
    const model = oneNode(makeNode('MatMul', ['x', 'w'], ['y']), [weight('w', [32, 16])])
    model.ir_version = 11
    model.opset_import.push({ domain: 'ai.onnx.training', version: 1 }, { domain: 'com.microsoft.nchwc', version: 1 })
    quantizeDynamic(model, settings)
    expect(model.ir_version).toBe(10)
    expect(model.opset_import).toEqual([{ domain: '', version: 17 }])
  })

  it('leaves half-precision, stacked and small weights as they are, and says so', async () => {
    const half = makeTensor('w', [32, 16], new Uint16Array(512), DataType.FLOAT16)
    const input = makeValueInfo('x', DataType.FLOAT16, ['n', 32])
    const model = oneNode(makeNode('MatMul', ['x', 'w'], ['y']), [half], { input })
    expect(quantizeDynamic(model, settings)).toEqual({ quantized: {}, left: {} })
    const stacked = oneNode(makeNode('MatMul', ['x', 'w'], ['y']), [weight('w', [2, 32, 16])])
    expect(quantizeDynamic(stacked, settings).left).toEqual({ 'weight of unusual rank': 1 })
    const small = oneNode(makeNode('MatMul', ['x', 'w'], ['y']), [weight('w', [32, 16])])
    expect(quantizeDynamic(small, { ...settings, min_elements: 1024 }).left).toEqual({ 'weight too small to matter': 1 })
  })
})
