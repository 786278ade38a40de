import * as ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import type { ModelProto, NodeProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { factorized, matrixOf, multiply } from '../../../layers/onnx/distill/factorize.ts'
import { studentOf } from '../../../layers/onnx/distill/students.ts'
import { intAttr, intsAttr, makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../../layers/onnx/graph/build.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { noise } from './training-support.ts'

const random = (name: string, ...dims: number[]) =>
  makeTensor(
    name,
    dims,
    noise(
      dims.reduce((a, b) => a * b),
      0.3,
    ),
  )
const pads = intsAttr('pads', [1, 1, 1, 1])
const conv = (input: string, weight: string, output: string, ...attributes: Parameters<typeof makeNode>[3][]): NodeProto =>
  makeNode('Conv', [input, weight, `${weight}b`], [output], {
    attributes: [pads, ...attributes.flatMap((each) => each?.attributes ?? [])],
  })

/** Convolution, depthwise convolution, two residual blocks, pooling and a dense layer: 1×8×8 to 5 scores. */
const residual = (): ModelProto =>
  makeModel(
    makeGraph({
      nodes: [
        conv('x', 'k0', 'c0'),
        makeNode('Relu', ['c0'], ['r0']),
        conv('r0', 'k1', 'c1'),
        makeNode('BatchNormalization', ['c1', 's', 'o', 'm', 'v'], ['n1']),
        makeNode('HardSwish', ['n1'], ['h1']),
        conv('h1', 'kd', 'd1', { attributes: [intAttr('group', 32)] }),
        conv('d1', 'k2', 'c2'),
        makeNode('Add', ['r0', 'c2'], ['a1'], { name: 'sum 1' }),
        conv('a1', 'k3', 'c3'),
        makeNode('Add', ['c3', 'a1'], ['a2'], { name: 'sum 2' }),
        makeNode('MaxPool', ['a2'], ['p'], { attributes: [intsAttr('kernel_shape', [2, 2]), intsAttr('strides', [2, 2])] }),
        conv('p', 'k4', 'c4'),
        makeNode('Flatten', ['c4'], ['f']),
        makeNode('Gemm', ['f', 'w', 'wb'], ['y']),
      ],
      inputs: [makeValueInfo('x', 1, ['batch', 1, 8, 8])],
      outputs: [makeValueInfo('y', 1)],
      initializers: [
        ...[random('k0', 16, 1, 3, 3), random('k0b', 16), random('k1', 32, 16, 3, 3), random('k1b', 32)],
        ...[random('s', 32), random('o', 32), random('m', 32), makeTensor('v', [32], new Float32Array(32).fill(1))],
        ...[random('kd', 32, 1, 3, 3), random('kdb', 32), random('k2', 16, 32, 3, 3), random('k2b', 16)],
        ...[random('k3', 16, 16, 3, 3), random('k3b', 16), random('k4', 24, 16, 3, 3), random('k4b', 24)],
        ...[random('w', 24 * 16, 5), random('wb', 5)],
      ],
    }),
  )

const answer = async (model: ModelProto): Promise<number[]> => {
  const session = await ort.InferenceSession.create(encodeModel(model), { logSeverityLevel: 3 })
  const x = Float32Array.from({ length: 2 * 64 }, (_, at) => Math.sin(at))
  const { y } = await session.run({ x: new ort.Tensor('float32', x, [2, 1, 8, 8]) })
  await session.release()
  return [...(y?.dims ?? []), ...Array.from(y?.data ?? [], Number)]
}
const dimsOf = (model: ModelProto, name: string): number[] | undefined =>
  mainGraph(model).initializer.find((tensor) => tensor.name === name)?.dims

describe('students', () => {
  it('narrower ones lose inner channels, through depthwise layers and flattening, and keep what sums tie together', async () => {
    const teacher = residual()
    const { model, notes } = studentOf(teacher, { kind: 'narrower', share: 0.5 }, 1)
    expect(notes).toEqual(['c1: 32 → 16', 'c4: 24 → 16'])
    expect(['k1', 's', 'kd', 'k2', 'k0', 'k4', 'w'].map((name) => dimsOf(model, name))).toEqual([
      [16, 16, 3, 3],
      [16],
      [16, 1, 3, 3],
      [16, 16, 3, 3],
      [16, 1, 3, 3],
      [16, 16, 3, 3],
      [16 * 16, 5],
    ])
    expect((await answer(model)).slice(0, 2)).toEqual([2, 5])
    expect(dimsOf(teacher, 'k1')).toEqual([32, 16, 3, 3])
  })

  it('lose nothing where the lost channels carried nothing', async () => {
    const teacher = residual()
    const unread = new Set([3, 4, 9, 17, 18, 19, 22, 23])
    const shaped = (name: string, dims: number[], factor: number, channelOf: (at: number) => number): void => {
      const values = noise(
        dims.reduce((product, size) => product * size),
        0.3,
      ).map((value, at) => (unread.has(channelOf(at)) ? value * factor : value))
      const tensor = mainGraph(teacher).initializer.find((each) => each.name === name)!
      Object.assign(tensor, makeTensor(name, dims, values))
    }
    shaped('k2', [16, 32, 3, 3], 0, (at) => Math.floor(at / 9) % 32)
    shaped('w', [24 * 16, 5], 0, (at) => Math.floor(at / 80))
    // What arrives at them is large, so that its size alone would keep them.
    shaped('k1', [32, 16, 3, 3], 5, (at) => Math.floor(at / 144))
    shaped('k4', [24, 16, 3, 3], 5, (at) => Math.floor(at / 144))
    const { model } = studentOf(teacher, { kind: 'narrower', share: 0.7 }, 1)
    expect([dimsOf(model, 'k1')?.[0], dimsOf(model, 'k4')?.[0]]).toEqual([24, 16])
    const [wanted, got] = [await answer(teacher), await answer(model)]
    for (const [at, value] of wanted.entries()) expect(got[at]).toBeCloseTo(value, 3)
  })

  it('shallower ones lose residual blocks from the back', async () => {
    const { model, notes } = studentOf(residual(), { kind: 'shallower', share: 0.5 }, 1)
    expect(notes).toEqual(['without sum 2'])
    expect(dimsOf(model, 'k3')).toBeUndefined()
    expect((await answer(model)).slice(0, 2)).toEqual([2, 5])
  })

  it('low-rank ones are exact where the matrix has that rank', async () => {
    const teacher = residual()
    const w = mainGraph(teacher).initializer.find((tensor) => tensor.name === 'w')!
    const thin = multiply(matrixOf(384, 8, noise(384 * 8)), matrixOf(8, 64, noise(8 * 64, 0.2)))
    Object.assign(w, makeTensor('w', [384, 64], Float32Array.from(thin.data)))
    mainGraph(teacher).initializer = mainGraph(teacher).initializer.map((tensor) =>
      tensor.name === 'wb' ? random('wb', 64) : tensor,
    )
    const { model, notes } = studentOf(teacher, { kind: 'low_rank', share: 0.2 }, 1)
    expect(notes).toEqual(['split y'])
    expect([dimsOf(model, 'w'), dimsOf(model, 'w_down'), dimsOf(model, 'w_up')].slice(1)).toEqual([
      [384, 8],
      [8, 64],
    ])
    const [wanted, got] = [await answer(teacher), await answer(model)]
    for (const [at, value] of wanted.entries()) expect(got[at]).toBeCloseTo(value, 3)
  })

  it.each(['narrower', 'shallower', 'low_rank'] as const)('no %s one comes of a model with nothing to take', (kind) => {
    const tiny = makeModel(
      makeGraph({
        nodes: [makeNode('Gemm', ['x', 'w'], ['y'])],
        inputs: [makeValueInfo('x', 1, ['batch', 4])],
        outputs: [makeValueInfo('y', 1)],
        initializers: [random('w', 4, 3)],
      }),
    )
    expect(() => studentOf(tiny, { kind, share: 0.5 }, 1)).toThrow(`No ${kind} student can be derived`)
  })
})

describe('factors', () => {
  it('come within two percent of the best of their rank', () => {
    const [size, rank] = [40, 10]
    // Diagonal in a rotated basis: singular values fall like 1/k, so the best error is known.
    const values = Array.from({ length: size }, (_, at) => 1 / (at + 1))
    const turned = matrixOf(size, size, noise(size * size))
    const basis = factorized(turned, size, 3).left
    for (let column = 0; column < size; column++) {
      let length = 0
      for (let row = 0; row < size; row++) length += basis.data[row * size + column]! ** 2
      for (let row = 0; row < size; row++) basis.data[row * size + column]! /= Math.sqrt(length)
    }
    const scaled = matrixOf(
      size,
      size,
      basis.data.map((value, at) => value * values[at % size]!),
    )
    const { left, right } = factorized(scaled, rank, 5)
    const product = multiply(left, right)
    const error = Math.sqrt(scaled.data.reduce((sum, value, at) => sum + (value - product.data[at]!) ** 2, 0))
    const best = Math.sqrt(values.slice(rank).reduce((sum, value) => sum + value ** 2, 0))
    expect(error / best).toBeGreaterThan(0.999)
    expect(error / best).toBeLessThan(1.02)
  })
})
