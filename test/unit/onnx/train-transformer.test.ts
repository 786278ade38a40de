import { describe, expect, it } from 'vitest'
import type { ModelProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import {
  floatAttr,
  intsAttr,
  makeGraph,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
  scalarTensor,
} from '../../../layers/onnx/graph/build.ts'
import { columnOf, labelColumn, trainingData } from '../../../layers/onnx/train/data.ts'
import { LABELS } from '../../../layers/onnx/train/losses.ts'
import { openRun } from '../../../layers/onnx/train/run.ts'
import { learnableNames } from '../../../layers/onnx/train/trainable.ts'
import { noise } from './training-support.ts'

const [vocabulary, length, width, inner] = [10, 6, 24, 48]
const INT64 = 7

const weight = (name: string, rows: number, columns: number): TensorProto =>
  makeTensor(name, [rows, columns], noise(rows * columns, Math.sqrt(3 / rows)))

/** Token numbers [batch, 6] to scores [batch, 6, 10]: embedding and position, one attention head, a GELU layer, both with residual sums. */
const transformer = (): ModelProto => {
  const norm = (input: string, name: string) =>
    makeNode('LayerNormalization', [input, `${name}_scale`, `${name}_bias`], [name], { attributes: [floatAttr('epsilon', 1e-5)] })
  const nodes = [
    makeNode('Gather', ['embedding', 'tokens'], ['embedded']),
    makeNode('Add', ['embedded', 'position'], ['h0']),
    norm('h0', 'n0'),
    ...['q', 'k', 'v'].map((name) => makeNode('MatMul', ['n0', `w${name}`], [name])),
    makeNode('Transpose', ['k'], ['kt'], { attributes: [intsAttr('perm', [0, 2, 1])] }),
    makeNode('MatMul', ['q', 'kt'], ['products']),
    makeNode('Mul', ['products', 'coldness'], ['scaled']),
    makeNode('Softmax', ['scaled'], ['attention']),
    makeNode('MatMul', ['attention', 'v'], ['mixed']),
    makeNode('Add', ['h0', 'mixed'], ['h1']),
    norm('h1', 'n1'),
    makeNode('MatMul', ['n1', 'w_up'], ['up']),
    makeNode('Mul', ['up', 'root_half'], ['turned']),
    makeNode('Erf', ['turned'], ['erf']),
    makeNode('Add', ['erf', 'one'], ['above']),
    makeNode('Mul', ['up', 'above'], ['doubled']),
    makeNode('MatMul', ['doubled', 'w_down'], ['down']),
    makeNode('Add', ['h1', 'down'], ['h2']),
    makeNode('MatMul', ['h2', 'w_out'], ['y']),
  ]
  const scale = (name: string): TensorProto => makeTensor(`${name}_scale`, [width], new Float32Array(width).fill(1))
  const bias = (name: string): TensorProto => makeTensor(`${name}_bias`, [width], new Float32Array(width))
  const initializers = [
    ...[weight('embedding', vocabulary, width), weight('position', length, width)],
    ...['wq', 'wk', 'wv'].map((name) => weight(name, width, width)),
    ...[weight('w_up', width, inner), weight('w_down', inner, width), weight('w_out', width, vocabulary)],
    ...['n0', 'n1'].flatMap((name) => [scale(name), bias(name)]),
    ...[scalarTensor('coldness', 1 / Math.sqrt(width)), scalarTensor('root_half', Math.SQRT1_2), scalarTensor('one', 1)],
  ]
  const inputs = [makeValueInfo('tokens', INT64, ['batch', length])]
  return makeModel(makeGraph({ nodes, inputs, outputs: [makeValueInfo('y', 1)], initializers }))
}

const int64 = (values: readonly number[]) => ({
  type: 'int64',
  dims: [values.length / length, length],
  bytes: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
})

describe('a transformer', () => {
  it('learns to answer each token with the one before it, and keeps constants of formulas', async () => {
    const model = transformer()
    const random = seededRandom(8)
    const tokens = Array.from({ length: 500 * length }, () => Math.floor(random() * vocabulary))
    const wanted = tokens.map((token, at) => (at % length === 0 ? token : tokens[at - 1]!))
    const data = trainingData({ tokens: columnOf('tokens', int64(tokens)), [LABELS]: labelColumn('labels', int64(wanted)) })
    const run = await openRun(model, data, {
      loss: { kind: 'cross_entropy' },
      output: 'y',
      optimizer: { kind: 'adam', clip_norm: 1 },
      schedule: { kind: 'cosine', rate: 1e-2, warm_up_steps: 20 },
      steps: 250,
      batch: 32,
      seed: 2,
      held_out_share: 0.2,
      threads: 1,
    })
    await run.advance(250, 20_000)
    const { held_out } = await run.result()
    await run.release()
    expect(held_out?.accuracy).toBeGreaterThan(0.95)
    const learned = learnableNames(model.graph!)
    expect(learned).toHaveLength(12)
    expect(learned).not.toEqual(expect.arrayContaining(['coldness']))
  })
})
