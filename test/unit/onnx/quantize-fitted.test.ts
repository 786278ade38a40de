import { describe, expect, it } from 'vitest'
import type { ModelProto } from '../../../layers/onnx/codec/schema.ts'
import { tensorFloats } from '../../../layers/onnx/codec/tensor-values.ts'
import type { Feeds } from '../../../layers/onnx/evaluate/tensors.ts'
import { makeNode, makeTensor } from '../../../layers/onnx/graph/build.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { correctBiases } from '../../../layers/onnx/quantize/bias-correction.ts'
import { fitDynamic } from '../../../layers/onnx/quantize/fitted-dynamic.ts'
import { fitLastBias } from '../../../layers/onnx/quantize/last-bias.ts'
import { distanceFrom, referenceFor } from '../../../layers/onnx/quantize/measure.ts'
import { productGrams } from '../../../layers/onnx/quantize/static/product-grams.ts'
import { copyOf, floatValue, model, seededGraphs, sqnrOf } from './seeded-graphs.ts'

const { normals, weight, sample } = seededGraphs(97)
const WIDTH = 96

/** Inputs of few directions, as real ones are: each is a mix of a dozen. */
const directions = Array.from({ length: 12 }, () => normals(WIDTH))
const row = (): Feeds => {
  const mix = normals(directions.length)
  const values = Float32Array.from({ length: WIDTH }, (_, at) =>
    directions.reduce((sum, direction, which) => sum + mix[which]! * direction[at]!, 0.5),
  )
  return { x: floatValue(values, [1, WIDTH]) }
}
const rows = Array.from({ length: 300 }, row)
const unseen = Array.from({ length: 40 }, row)

const perceptron = (last: 'Softmax' | 'Relu'): ModelProto =>
  model(
    [
      makeNode('Gemm', ['x', 'a', 'a_bias'], ['p']),
      makeNode('Relu', ['p'], ['q']),
      makeNode('MatMul', ['q', 'b'], ['r']),
      makeNode('Add', ['r', 'b_bias'], ['s']),
      makeNode(last, ['s'], ['y']),
    ],
    [weight('a', [WIDTH, 64], 0.1), weight('a_bias', [64]), weight('b', [64, 24], 0.1), weight('b_bias', [24])],
    [1, WIDTH],
  )

/** The same with one tensor moved. */
const moved = (source: ModelProto, name: string, by: (at: number) => number): ModelProto => {
  const made = copyOf(source)
  const graph = mainGraph(made)
  graph.initializer = graph.initializer.map((tensor) =>
    tensor.name === name
      ? makeTensor(
          name,
          tensor.dims,
          tensorFloats(tensor).map((value, at) => value + by(at)),
        )
      : tensor,
  )
  return made
}

describe('biases put right', () => {
  it('take back what moved on average, layer after layer', async () => {
    const original = perceptron('Relu')
    // A constant shift of weights moves means: inputs have a mean of their own.
    const candidate = moved(
      moved(original, 'a', () => 0.01),
      'b',
      () => 0.01,
    )
    const before = await sqnrOf(original, candidate, unseen)
    expect(await correctBiases(candidate, original, rows)).toBe(2)
    expect(await sqnrOf(original, candidate, unseen)).toBeGreaterThan(before + 3)
  })

  it('leave a model without biases, or without rows, as it is', async () => {
    const original = model([makeNode('MatMul', ['x', 'a'], ['y'])], [weight('a', [WIDTH, 8])], [1, WIDTH])
    expect(await correctBiases(copyOf(original), original, rows)).toBe(0)
    expect(await correctBiases(copyOf(perceptron('Relu')), perceptron('Relu'), [])).toBe(0)
    expect(await fitLastBias(copyOf(original), original, rows)).toBe(false)
  })

  it('make a classifier expect every class as often as before', async () => {
    const original = perceptron('Softmax')
    const candidate = moved(original, 'b_bias', (at) => (at % 3 === 0 ? 0.3 : 0))
    const reference = await referenceFor(copyOf(original), unseen)
    const before = await distanceFrom(reference, candidate)
    expect(await fitLastBias(candidate, original, rows)).toBe(true)
    expect(await distanceFrom(reference, candidate)).toBeLessThan(before / 20)
  })
})

describe('fitted dynamic int8', () => {
  const form = { weight_type: 's8', conv: 'none', gather: true, min_elements: 1 } as const

  it('is nearer than what is rounded to the nearest, on rows it never saw', async () => {
    const original = perceptron('Relu')
    const made = await fitDynamic(copyOf(original), rows, form)
    const plain = await fitDynamic(copyOf(original), [sample([1, WIDTH]), sample([1, WIDTH])], form)
    expect(made.ways).toContain('rounded in order (GPTQ)')
    expect(made.sqnr_db).toBeGreaterThan(made.plain_db)
    expect(await sqnrOf(original, made.model, unseen)).toBeGreaterThan(made.plain_db + 1)
    expect(made.quantized).toEqual(plain.quantized)
  })

  it('keeps 7-bit weights where two products of 255 cannot saturate int16', async () => {
    const made = await fitDynamic(copyOf(perceptron('Relu')), rows, { ...form, weight_type: 's7' })
    const codes = mainGraph(made.model).initializer.filter(({ data_type }) => data_type === 3)
    expect(codes).toHaveLength(2)
    const largest = codes.flatMap(({ raw_data }) =>
      [...new Int8Array(raw_data?.slice().buffer ?? new ArrayBuffer(0))].map(Math.abs),
    )
    expect(Math.max(...largest)).toBeLessThanOrEqual(64)
  })
})

describe('second moments', () => {
  it('of rows taken together are those of rows one by one', async () => {
    const original = perceptron('Relu')
    const grams = await productGrams(original, rows)
    const gram = grams.get('p')
    expect(gram?.rows).toBe(300)
    let expected = 0
    for (const { x } of rows)
      if (x && 'bytes' in x) expected += new Float32Array(x.bytes.buffer)[3]! * new Float32Array(x.bytes.buffer)[7]!
    expect(gram?.moments[3 * WIDTH + 7]).toBeCloseTo(expected, 2)
  })
})
