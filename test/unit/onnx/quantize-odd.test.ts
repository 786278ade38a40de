import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import { readModel } from '../../../layers/onnx/codec/read-model.ts'
import type { NodeProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import { intAttr, intsAttr, makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../../layers/onnx/graph/build.ts'
import { quantizeDynamic } from '../../../layers/onnx/quantize/dynamic-int8.ts'

/** Graphs that exporters seldom write, and that must compute the same all the same. */

const random = seededRandom(11)
const floats = (count: number) => Float32Array.from({ length: count }, () => random() * 2 - 1)
const volume = (dims: number[]) => dims.reduce((product, size) => product * size, 1)
const weight = (name: string, dims: number[]) => makeTensor(name, dims, floats(volume(dims)))
const x = (dims: number[]) => new Tensor('float32', floats(volume(dims)), dims)

interface Odd {
  nodes: NodeProto[]
  weights: TensorProto[]
  feed: Tensor
  /** Names of weights that are inputs too. */
  exposed?: string[]
  ir_version?: number
}

async function compared({ nodes, weights, feed, exposed = [], ir_version = 8 }: Odd) {
  const input = makeValueInfo('x', feed.type === 'int64' ? DataType.INT64 : DataType.FLOAT, [...feed.dims])
  const inputs = [input, ...exposed.map((name) => makeValueInfo(name, DataType.FLOAT))]
  const outputs = [makeValueInfo('y', DataType.FLOAT)]
  const model = makeModel(makeGraph({ nodes, inputs, outputs, initializers: weights }), { opsets: { '': 13 }, ir_version })
  const quantized = readModel(encodeModel(model))
  const report = quantizeDynamic(quantized, { weight_type: 'u8', conv: 'all', gather: true, min_elements: 1 })
  const [before, after] = [await run(encodeModel(model), feed), await run(encodeModel(quantized), feed)]
  expect(after?.dims).toEqual(before?.dims)
  return { report, sqnr_db: sqnr(before, after) }
}

async function run(bytes: Uint8Array, feed: Tensor): Promise<Tensor | undefined> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 4 })
  return (await session.run({ x: feed })).y
}

function sqnr(before: Tensor | undefined, after: Tensor | undefined): number {
  if (!(before?.data instanceof Float32Array) || !(after?.data instanceof Float32Array)) throw new Error('wanted floats')
  const [wanted, got] = [before.data, after.data]
  const signal = wanted.reduce((sum, value) => sum + value ** 2, 0)
  return 10 * Math.log10(signal / wanted.reduce((sum, value, at) => sum + (value - (got[at] ?? 0)) ** 2, 0))
}

const ids = (dims: number[], ...values: bigint[]) => new Tensor('int64', BigInt64Array.from(values), dims)

describe('quantizing keeps the meaning of', () => {
  it.each<[string, Odd]>([
    [
      'a vector times a matrix',
      { nodes: [makeNode('MatMul', ['x', 'w'], ['y'])], weights: [weight('w', [32, 16])], feed: x([32]) },
    ],
    [
      'a Gemm whose bias is a column',
      {
        nodes: [makeNode('Gemm', ['x', 'w', 'c'], ['y'])],
        weights: [weight('w', [32, 16]), weight('c', [4, 1])],
        feed: x([4, 32]),
      },
    ],
    [
      'a scalar index from the end',
      { nodes: [makeNode('Gather', ['w', 'x'], ['y'])], weights: [weight('w', [32, 16])], feed: ids([], -3n) },
    ],
    [
      'an embedding that is the output layer too',
      {
        nodes: [
          makeNode('Gather', ['w', 'x'], ['h']),
          makeNode('Gemm', ['h', 'w'], ['y'], { attributes: [intAttr('transB', 1)] }),
        ],
        weights: [weight('w', [50, 32])],
        feed: ids([3], 3n, 1n, 2n),
      },
    ],
    [
      'a convolution over time',
      {
        nodes: [makeNode('Conv', ['x', 'w', 'b'], ['y'], { attributes: [intsAttr('pads', [2, 2])] })],
        weights: [weight('w', [8, 4, 5]), weight('b', [8])],
        feed: x([1, 4, 20]),
      },
    ],
    [
      'a dilated convolution over volumes',
      {
        nodes: [makeNode('Conv', ['x', 'w'], ['y'], { attributes: [intsAttr('dilations', [1, 2, 1])] })],
        weights: [weight('w', [8, 4, 3, 3, 3])],
        feed: x([1, 4, 7, 7, 7]),
      },
    ],
  ])('%s', async (_, odd) => {
    const { report, sqnr_db } = await compared(odd)
    expect(Object.keys(report.quantized).length).toBeGreaterThan(0)
    expect(sqnr_db).toBeGreaterThan(35)
  })

  it('no row at all', async () => {
    const nodes = [makeNode('Gemm', ['x', 'w', 'c'], ['y'])]
    const { report } = await compared({ nodes, weights: [weight('w', [32, 16]), weight('c', [16])], feed: x([0, 32]) })
    expect(report.quantized).toEqual({ Gemm: 1 })
  })
})

describe('quantizing leaves alone', () => {
  it.each([
    [makeNode('MatMul', ['x', 'w'], ['y']), [70_000, 2]],
    [makeNode('Gemm', ['x', 'w'], ['y'], { attributes: [intAttr('transB', 1)] }), [2, 70_000]],
  ])('sums of so many products that int32 would wrap (%#)', async (node, dims) => {
    const ones = (name: string, shape: number[]) => makeTensor(name, shape, new Float32Array(volume(shape)).fill(1))
    const feed = new Tensor('float32', new Float32Array(70_000).fill(1), [1, 70_000])
    const { report, sqnr_db } = await compared({ nodes: [node], weights: [ones('w', dims)], feed })
    expect(sqnr_db).toBeGreaterThan(35)
    expect(report).toEqual({ quantized: {}, left: { 'sums that could overflow int32': 1 } })
  })

  it('weights that callers may replace, and says so', async () => {
    const odd = {
      nodes: [makeNode('MatMul', ['x', 'w'], ['y'])],
      weights: [weight('w', [32, 16])],
      feed: x([4, 32]),
      exposed: ['w'],
    }
    expect((await compared(odd)).report).toEqual({
      quantized: {},
      left: { 'weight that callers may replace (IR 4 and later: an input too)': 1 },
    })
    expect((await compared({ ...odd, ir_version: 3 })).report.quantized).toEqual({ MatMul: 1 })
  })
})
