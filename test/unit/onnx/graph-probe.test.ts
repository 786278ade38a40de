import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import type { ModelProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import {
  graphAttr,
  intAttr,
  makeGraph,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
} from '../../../layers/onnx/graph/build.ts'
import { foldBias } from '../../../layers/onnx/graph/fold-bias.ts'
import { opsetOf, setOpset, settleIrVersion, stripUnusedDomains } from '../../../layers/onnx/graph/opsets.ts'
import { upgradeOpset } from '../../../layers/onnx/graph/upgrade.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { probeTensors } from '../../../layers/onnx/probe/probe-tensors.ts'
import { copyOf, floatValue, model, operators, seededGraphs, sqnrOf } from './seeded-graphs.ts'

const scratch = mkdtempSync(join(tmpdir(), 'probe-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
const { weight, sample } = seededGraphs(17)

const saved = (given: ModelProto): string => {
  const path = join(scratch, 'model.onnx')
  writeFileSync(path, encodeModel(given))
  return path
}

describe('one tapped run', () => {
  const branch = (name: string, op: string) =>
    makeGraph({ name, nodes: [makeNode(op, ['x'], [`${name}_y`])], outputs: [{ name: `${name}_y`, metadata_props: [] }] })
  const probed = model(
    [
      makeNode('Relu', ['x'], ['r']),
      makeNode('ReduceSum', ['x'], ['sum'], { attributes: [intAttr('keepdims', 0)] }),
      makeNode('Greater', ['sum', 'zero'], ['positive']),
      makeNode('If', ['positive'], ['chosen'], {
        attributes: [graphAttr('then_branch', branch('then', 'Neg')), graphAttr('else_branch', branch('else', 'Abs'))],
      }),
      makeNode('Shape', ['x'], ['shape']),
      makeNode('Log', ['r'], ['log']),
      makeNode('Cast', ['r'], ['half'], { attributes: [intAttr('to', DataType.FLOAT16)] }),
      makeNode('Add', ['chosen', 'log'], ['y']),
    ],
    [makeTensor('zero', [], Float32Array.of(0))],
    ['N', 2],
  )
  const rows = [
    { x: floatValue(Float32Array.of(1, -2, 3, 4), [2, 2]) },
    { x: floatValue(Float32Array.of(-5, 0.5), [1, 2]) },
    { x: floatValue(Float32Array.of(7, 0, 1, 1), [2, 2]) },
  ]

  it.each([undefined, 1, 40])('tells type, shapes and range of every value, in groups of %s bytes', async (group_bytes) => {
    const all = await probeTensors(saved(probed), rows, group_bytes === undefined ? {} : { group_bytes })
    const shapes = [
      [2, 2],
      [1, 2],
    ]
    expect(Object.fromEntries(all)).toEqual({
      x: { type: 'float32', shapes, min: -5, max: 7, finite: true },
      r: { type: 'float32', shapes, min: 0, max: 7, finite: true },
      sum: { type: 'float32', shapes: [[]], min: -4.5, max: 9, finite: true },
      positive: { type: 'bool', shapes: [[]], min: 0, max: 1, finite: true },
      chosen: { type: 'float32', shapes, min: -7, max: 5, finite: true },
      shape: { type: 'int64', shapes: [[2]], min: 1, max: 2, finite: true },
      log: { type: 'float32', shapes, min: Math.fround(Math.log(0.5)), max: expect.closeTo(Math.log(7), 6), finite: false },
      half: { type: 'float16', shapes, min: 0, max: 7, finite: true },
      y: { type: 'float32', shapes, min: expect.any(Number), max: expect.any(Number), finite: false },
    })
  })

  it('looks at the values it is asked for alone, and says which row does not run', async () => {
    expect([...(await probeTensors(saved(probed), rows, { names: ['r', 'nobody'] })).keys()]).toEqual(['r'])
    const wrong = [...rows, { x: floatValue(Float32Array.of(1, 2, 3), [1, 3]) }]
    await expect(probeTensors(saved(probed), wrong)).rejects.toThrow(/Sample 3 cannot be run/)
  })
})

describe('folding a bias', () => {
  const dense = (shape: (number | string)[], bias: number[]): ModelProto =>
    model(
      [makeNode('MatMul', ['x', 'w'], ['m']), makeNode('Add', ['b', 'm'], ['s']), makeNode('Relu', ['s'], ['y'])],
      [weight('w', [6, 5]), weight('b', bias)],
      shape,
    )

  it.each([[[5]], [[1, 5]], [[1]], [[]]])('of shape %j makes one Gemm of a product of two dimensions', async (bias) => {
    const original = dense(['N', 6], bias)
    const folded = copyOf(original)
    expect(foldBias(folded)).toBe(1)
    expect(operators(folded)).toEqual(['Gemm', 'Relu'])
    expect(await sqnrOf(original, folded, [sample([4, 6]), sample([1, 6])])).toBeGreaterThan(130)
  })

  it('leaves what Gemm cannot be: more dimensions, unknown ones, a bias per row, a product that others read', () => {
    const untouched = [dense(['N', 3, 6], [5]), dense(['N', 6], [4, 1]), dense(['N', 6], [2, 4, 5])]
    const unknown = dense(['N', 6], [5])
    delete mainGraph(unknown).input[0]?.type?.tensor_type?.shape
    const shared = dense(['N', 6], [5])
    mainGraph(shared).output.push({ name: 'm', metadata_props: [] })
    for (const each of [...untouched, unknown, shared]) expect(foldBias(each)).toBe(0)
    expect(foldBias(unknown, { ranks: new Map([['x', 2]]) })).toBe(1)
  })
})

describe('domains and versions', () => {
  it('spells the default domain one way and drops what nobody uses or says twice', () => {
    const given = model([{ ...makeNode('Relu', ['x'], ['y']), domain: 'ai.onnx' }], [], [2])
    given.opset_import = ['ai.onnx', '', 'ai.onnx.ml', 'com.microsoft'].map((domain, at) => ({ domain, version: 17 - at }))
    stripUnusedDomains(given)
    expect(given.opset_import).toEqual([{ domain: '', version: 17 }])
    expect(mainGraph(given).node[0]?.domain).toBe('')
    setOpset(given, 'com.microsoft', 1)
    expect([opsetOf(given), opsetOf(given, 'com.microsoft')]).toEqual([17, 1])
  })

  it.each([
    ['FLOAT', DataType.FLOAT, 7, 7],
    ['FLOAT8E5M2', DataType.FLOAT8E5M2, 7, 9],
    ['INT4', DataType.INT4, 7, 10],
    ['FLOAT4E2M1', DataType.FLOAT4E2M1, 7, 11],
    ['INT2', DataType.INT2, 13, 13],
    ['FLOAT', DataType.FLOAT, 13, 10],
  ])('needs for weights of %s (%i) in a file of IR %i the IR %i', (_name, data_type, from, wanted) => {
    const stored = makeModel(
      makeGraph({
        nodes: [],
        outputs: [],
        initializers: [makeTensor('w', [4], new Uint8Array(data_type === DataType.FLOAT ? 16 : 4), data_type)],
      }),
      { ir_version: from },
    )
    const declared = makeModel(makeGraph({ nodes: [], outputs: [makeValueInfo('y', data_type, [4])] }), { ir_version: from })
    for (const each of [stored, declared]) {
      settleIrVersion(each)
      expect(each.ir_version).toBe(wanted)
    }
  })

  it('leaves a model of other domains alone when the default one is raised', () => {
    const given = makeModel(
      makeGraph({
        nodes: [makeNode('Gelu', ['x'], ['y'], { domain: 'com.microsoft' })],
        inputs: [makeValueInfo('x', DataType.FLOAT, [2])],
        outputs: [makeValueInfo('y', DataType.FLOAT, [2])],
      }),
      { opsets: { 'com.microsoft': 1 } },
    )
    expect(upgradeOpset(given, 21).rewritten).toBe(0)
    expect(given.opset_import.map(({ domain }) => domain)).toEqual(['com.microsoft'])
  })
})
