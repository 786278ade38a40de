import { describe, expect, it } from 'vitest'
import { loadModel, readModel } from '../../../layers/onnx/codec/read-model.ts'
import type { ModelProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { floatAttr, intAttr, intsAttr } from '../../../layers/onnx/graph/build.ts'
import { foldAffine } from '../../../layers/onnx/graph/fold-batch-norm.ts'
import { foldConstants } from '../../../layers/onnx/graph/fold-constants.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { answers, type Builder, builder, finished, rows, sqnr } from './prune-cases.ts'
import { fileName, realModelPaths, runModel } from './real-models.ts'

const copy = (model: ModelProto) => readModel(encodeModel(model))
const operators = (model: ModelProto) => mainGraph(model).node.map(({ op_type }) => op_type)
const normalised = (b: Builder, input: string, channels: number) =>
  b.op(
    'BatchNormalization',
    [input, b.weight([channels]), b.weight([channels]), b.weight([channels]), b.op('Abs', [b.weight([channels])])],
    [floatAttr('epsilon', 0.01)],
  )
const image = [1, 4, 6, 6]

describe('folding what follows a weight', () => {
  const chains: Record<string, { build(b: Builder): string; input: number[]; left: string[] }> = {
    'Conv and BatchNormalization': {
      build: (b) => b.op('Relu', [normalised(b, b.op('Conv', ['x', b.weight([8, 4, 3, 3])]), 8)]),
      input: image,
      left: ['Conv', 'Relu'],
    },
    'a grouped Conv with bias, Mul and Add per channel': {
      build: (b) => {
        const conv = b.op('Conv', ['x', b.weight([8, 1, 3, 3]), b.weight([8])], [intAttr('group', 4)])
        return b.op('Add', [b.weight([1, 8, 1, 1]), b.op('Mul', [conv, b.weight([8, 1, 1])])])
      },
      input: image,
      left: ['Conv'],
    },
    'ConvTranspose and BatchNormalization': {
      build: (b) =>
        normalised(b, b.op('ConvTranspose', ['x', b.weight([4, 6, 2, 2]), b.weight([6])], [intsAttr('strides', [2, 2])]), 6),
      input: image,
      left: ['ConvTranspose'],
    },
    'Gemm with transposed weights, alpha and beta, and BatchNormalization': {
      build: (b) =>
        normalised(
          b,
          b.op(
            'Gemm',
            ['x', b.weight([7, 5]), b.weight([7])],
            [intAttr('transB', 1), floatAttr('alpha', 0.5), floatAttr('beta', -2)],
          ),
          7,
        ),
      input: [3, 5],
      left: ['Gemm'],
    },
    'Gemm without bias and a scalar': {
      build: (b) => b.op('Mul', [b.op('Add', [b.op('Gemm', ['x', b.weight([5, 7])]), b.weight([7])]), b.weight([1])]),
      input: [3, 5],
      left: ['Gemm'],
    },
    'nothing where the sum is along another axis': {
      build: (b) => b.op('Add', [b.op('Conv', ['x', b.weight([6, 4, 1, 1])]), b.weight([6])]),
      input: image,
      left: ['Conv', 'Add'],
    },
    'nothing where something else reads what lies between': {
      build: (b) => {
        const conv = b.op('Conv', ['x', b.weight([6, 4, 1, 1])])
        return b.op('Add', [normalised(b, conv, 6), conv])
      },
      input: image,
      left: ['Conv', 'BatchNormalization', 'Add'],
    },
  }

  it.each(Object.entries(chains))('%s', async (_name, { build, input, left }) => {
    const b = builder(21)
    const original = finished(b, input, [build(b)])
    const folded = copy(original)
    await foldConstants(folded)
    const count = foldAffine(folded)
    expect(operators(folded)).toEqual(left)
    expect(count > 0).toBe(!_name.startsWith('nothing'))
    const feeds = rows(input, 5)
    expect(sqnr(await answers(original, feeds), await answers(folded, feeds))).toBeGreaterThan(110)
    expect(mainGraph(folded).output.map(({ name }) => name)).toEqual(mainGraph(original).output.map(({ name }) => name))
  })
})

describe('folding constants', () => {
  it('computes what depends on stored tensors alone, and nothing else', async () => {
    const b = builder(22)
    const scaled = b.op('Mul', [b.op('Transpose', [b.weight([7, 5])]), b.weight([1])])
    const wide = b.op('Expand', [b.weight([1, 1]), b.ints([300, 5])])
    const noise = b.op('RandomNormal', [], [intsAttr('shape', [1, 7])])
    const silent = b.op('Mul', [noise, b.op('Sub', [b.ints([1]), b.ints([1])])])
    const product = b.op('MatMul', [b.op('Add', ['x', b.op('ReduceMean', [wide], [intsAttr('axes', [0])])]), scaled])
    b.op('Identity', [b.weight([2])], [], ['fixed'])
    const original = finished(b, [3, 5], [b.op('Relu', [product]), 'fixed'])
    mainGraph(original).node = mainGraph(original).node.filter(({ output }) => output[0] !== silent)
    const folded = copy(original)
    expect(await foldConstants(folded)).toBe(2)
    // What the graph answers keeps its node, random numbers nobody reads go.
    expect(operators(folded)).toEqual(['Add', 'MatMul', 'Identity', 'Relu'])
    const feeds = rows([3, 5], 4)
    expect(sqnr(await answers(original, feeds), await answers(folded, feeds))).toBeGreaterThan(140)
    expect(await foldConstants(folded)).toBe(0)
  })

  it('leaves what would grow and what is random', async () => {
    const b = builder(23)
    const wide = b.op('Expand', [b.weight([1, 1]), b.ints([2000, 5])])
    const noise = b.op('RandomUniform', [], [intsAttr('shape', [5])])
    const out = b.op('Add', [b.op('Add', ['x', wide]), noise])
    const folded = finished(b, [1, 5], [out])
    expect(await foldConstants(folded)).toBe(0)
    expect(operators(folded)).toEqual(['Expand', 'RandomUniform', 'Add', 'Add'])
  })

  it.each(realModelPaths().map((path) => [fileName(path), path]))('%s answers as before', async (name, path) => {
    const model = loadModel(path)
    const before = await runModel(path, name)
    const nodes = mainGraph(model).node.length
    await foldConstants(model)
    const folded = foldAffine(model)
    const after = await runModel(encodeModel(model), name)
    expect(mainGraph(model).node.length).toBeLessThanOrEqual(nodes - folded)
    for (const [output, bytes] of Object.entries(before)) {
      const floats = (data: Uint8Array | undefined) => new Float32Array((data ?? new Uint8Array()).slice().buffer)
      const [wanted, got] = [floats(bytes), floats(after[output])]
      const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      expect(got.length).toBe(wanted.length)
      for (const [at, value] of got.entries()) expect(Math.abs(value - wanted[at]!)).toBeLessThanOrEqual(1e-4 * largest + 1e-6)
    }
  })
})
