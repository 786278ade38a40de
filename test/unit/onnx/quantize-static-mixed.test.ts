import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import { readModelFile } from '../../../layers/onnx/codec/read-model.ts'
import { writeModelFile } from '../../../layers/onnx/codec/write-model.ts'
import { graphAttr, makeGraph, makeNode, makeTensor, makeValueInfo, scalarTensor } from '../../../layers/onnx/graph/build.ts'
import { walkTensors } from '../../../layers/onnx/graph/walk.ts'
import { smoothThenQuantize } from '../../../layers/onnx/quantize/smoothed.ts'
import { makeStatic } from '../../../layers/onnx/quantize/static/make-static.ts'
import { copyOf, model, operators, seededGraphs } from './seeded-graphs.ts'

const folder = mkdtempSync(join(tmpdir(), 'mixed-'))
afterAll(() => rmSync(folder, { recursive: true }))
const { weight, normals, sample } = seededGraphs(47)
const samples = Array.from({ length: 12 }, () => sample([8, 64]))
const [model_path, candidate_path] = [join(folder, 'model.onnx'), join(folder, 'candidate.onnx')]

/** Factors by channel, one of them a hundred times the others, and a weight that is as much softer there. */
const loud = (at: number) => Float32Array.from({ length: 64 }, (_, channel) => (channel === at ? 100 : 1))
const soft = (name: string, at: number) => {
  const tensor = weight(name, [64, 64])
  const values = new Float32Array(tensor.raw_data?.buffer ?? new ArrayBuffer(0))
  for (let column = 0; column < 64; column++) values[at * 64 + column]! /= 100
  return tensor
}

describe('static int8 that must keep an SQNR', () => {
  it('leaves the fewest products to floats, and stores their weights as int8 all the same', async () => {
    const nodes = [
      makeNode('MatMul', ['x', 'a'], ['first']),
      makeNode('Tanh', ['first'], ['t']),
      makeNode('Mul', ['t', 'loud'], ['l']),
      makeNode('MatMul', ['l', 'b'], ['second']),
      makeNode('Tanh', ['second'], ['u']),
      makeNode('MatMul', ['u', 'c'], ['y']),
    ]
    const stored = [weight('a', [64, 64]), makeTensor('loud', [64], loud(5)), soft('b', 5), weight('c', [64, 64])]
    writeModelFile(model(nodes, stored, ['n', 64]), model_path)
    const job = { model_path, candidate_path, samples, settings: { weight_type: 's8' as const }, ordered: false }
    const pure = await makeStatic(job)
    expect(pure.dropped).toEqual([])
    const held = await makeStatic({ ...job, hold_sqnr_db: pure.sqnr_db + 6 })
    expect(held.dropped).toEqual(['second'])
    expect(held.sqnr_db).toBeGreaterThanOrEqual(pure.sqnr_db + 6)
    expect(held.size_bytes).toBeLessThan(1.1 * pure.size_bytes)
    const floats = [...walkTensors(readModelFile(candidate_path))].filter(({ data_type }) => data_type === DataType.FLOAT)
    expect(Math.max(...floats.map(({ dims }) => dims.reduce((all, size) => all * size, 1)))).toBeLessThanOrEqual(64)
    await expect(makeStatic({ ...job, hold_sqnr_db: 5 })).rejects.toThrow('Nothing needs to stay floats')
    await expect(makeStatic({ ...job, hold_sqnr_db: 190 })).rejects.toThrow('No mix keeps 190 dB')
  })

  it('reaches embeddings and branches by dynamic int8, so that no large float is left', async () => {
    const branch = (name: string) => {
      const nodes = [makeNode('MatMul', ['h', `${name}_w`], [`${name}_y`])]
      const outputs = [makeValueInfo(`${name}_y`, DataType.FLOAT)]
      return graphAttr(`${name}_branch`, makeGraph({ nodes, outputs, initializers: [weight(`${name}_w`, [64, 64])] }))
    }
    const nodes = [
      makeNode('MatMul', ['x', 'a'], ['h']),
      makeNode('ReduceMax', ['h'], ['total']),
      makeNode('Squeeze', ['total'], ['scalar']),
      makeNode('Greater', ['scalar', 'none'], ['flag']),
      makeNode('If', ['flag'], ['y'], { attributes: [branch('then'), branch('else')] }),
    ]
    writeModelFile(model(nodes, [weight('a', [64, 64]), scalarTensor('none', 0)], ['n', 64]), model_path)
    const made = await makeStatic({ model_path, candidate_path, samples, settings: { weight_type: 's8' }, ordered: false })
    expect(made.quantized).toMatchObject({ MatMul: 1, 'MatMul (dynamic)': 2 })
    const floats = [...walkTensors(readModelFile(candidate_path))].filter(({ data_type }) => data_type === DataType.FLOAT)
    expect(Math.max(...floats.map(({ dims }) => dims.reduce((all, size) => all * size, 1)))).toBeLessThanOrEqual(64)
  })
})

describe('smoothing before dynamic int8', () => {
  const form = { weight_type: 'u8' as const, conv: 'none' as const, gather: true }
  const normalised = (gamma: Float32Array, b: ReturnType<typeof weight>) =>
    model(
      [makeNode('LayerNormalization', ['x', 'gamma', 'beta'], ['n']), makeNode('MatMul', ['n', 'b'], ['y'])],
      [makeTensor('gamma', [64], gamma), makeTensor('beta', [64], normals(64, 0.1)), b],
      ['n', 64],
    )

  it('takes the α that measures best, and adds no operator', async () => {
    const original = normalised(loud(3), soft('b', 3))
    const made = await smoothThenQuantize(copyOf(original), samples, form)
    expect(made.folded).toBe(1)
    expect(made.sqnr_db).toBeGreaterThan(made.plain_db + 6)
    expect(operators(made.model)).not.toContain('Div')
    expect(operators(made.model)[0]).toBe('LayerNormalization')
  })

  it('is refused where it gains nothing, or nothing takes the factors', async () => {
    const even = normalised(new Float32Array(64).fill(1), weight('b', [64, 64]))
    await expect(smoothThenQuantize(even, samples, form)).rejects.toThrow(/Smoothing gains nothing here: [\d.]+ dB at best/)
    const bare = model([makeNode('MatMul', ['x', 'b'], ['y'])], [weight('b', [64, 64])], ['n', 64])
    await expect(smoothThenQuantize(bare, samples, form)).rejects.toThrow('No product reads a normalisation')
  })
})
