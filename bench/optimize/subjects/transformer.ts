import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { writeModelFile } from '../../../layers/onnx/codec/write-model.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import {
  floatAttr,
  int64Tensor,
  intAttr,
  intsAttr,
  makeGraph,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
  scalarTensor,
} from '../../../layers/onnx/graph/build.ts'
import { normals } from '../normals.ts'
import { writeNpz } from '../npz.ts'
import { peerTools, type Recipe, type Subject } from './subject.ts'

export interface Shape {
  layers: number
  hidden: number
  heads: number
  vocabulary: number
}
export const miniLm: Shape = { layers: 6, hidden: 384, heads: 12, vocabulary: 30_522 }
export const bertBase: Shape = { layers: 12, hidden: 768, heads: 12, vocabulary: 30_522 }
const POSITIONS = 512

/**
 * An encoder as PyTorch exports BERT: token and position embeddings, per layer self-attention and a GELU network of four times the
 * width, each added and normalised; `ids` [batch, tokens] → `states` [batch, tokens, hidden]. Weights are random, N(0, 1 ÷ √fan-in):
 * right for size and time, wrong for meaning. Trained outliers are missing, so int8 keeps more here and int4 less than it would.
 */
export const encoder = ({ layers, hidden, heads, vocabulary }: Shape): ModelProto => {
  const random = seededRandom(7)
  const nodes: NodeProto[] = []
  const stored: TensorProto[] = []
  const add = (op: string, inputs: string[], attributes: NodeProto['attribute'] = []): string => {
    const output = `${op}_${nodes.length}`
    nodes.push(makeNode(op, inputs, [output], { attributes }))
    return output
  }
  const keep = (tensor: TensorProto): string => {
    stored.push(tensor)
    return tensor.name ?? ''
  }
  const weight = (rows: number, columns: number, scale = 1 / Math.sqrt(rows)): string =>
    keep(makeTensor(`weight_${stored.length}`, [rows, columns], normals(random, rows * columns, scale)))
  const vector = (scale: number, mean = 0): string =>
    keep(makeTensor(`vector_${stored.length}`, [hidden], normals(random, hidden, scale, mean)))
  const linear = (x: string, rows: number, columns: number): string =>
    add('Add', [
      keep(makeTensor(`bias_${stored.length}`, [columns], normals(random, columns, 0.02))),
      add('MatMul', [x, weight(rows, columns)]),
    ])
  const normalised = (x: string): string =>
    add('LayerNormalization', [x, vector(0.1, 1), vector(0.05)], [intAttr('axis', -1), floatAttr('epsilon', 1e-12)])
  const [split, joined] = [keep(int64Tensor('split', [0, 0, heads, hidden / heads])), keep(int64Tensor('joined', [0, 0, hidden]))]
  const [root_depth, root_2, one, half] = (
    [
      ['root_depth', Math.sqrt(hidden / heads)],
      ['root_2', Math.SQRT2],
      ['one', 1],
      ['half', 0.5],
    ] as const
  ).map(([name, value]) => keep(scalarTensor(name, value)))
  const perHead = (x: string, order: number[]): string =>
    add('Transpose', [add('Reshape', [linear(x, hidden, hidden), split])], [intsAttr('perm', order)])

  const attention = (x: string): string => {
    const [q, k, v] = [perHead(x, [0, 2, 1, 3]), perHead(x, [0, 2, 3, 1]), perHead(x, [0, 2, 1, 3])]
    const shares = add('Softmax', [add('Div', [add('MatMul', [q, k]), root_depth ?? ''])], [intAttr('axis', -1)])
    const mixed = add('Transpose', [add('MatMul', [shares, v])], [intsAttr('perm', [0, 2, 1, 3])])
    return linear(add('Reshape', [mixed, joined]), hidden, hidden)
  }
  const gelu = (x: string): string =>
    add('Mul', [add('Mul', [x, add('Add', [add('Erf', [add('Div', [x, root_2 ?? ''])]), one ?? ''])]), half ?? ''])

  let x = normalised(
    add('Add', [add('Gather', [weight(vocabulary, hidden, 0.05), 'ids']), positions(add, keep, weight(POSITIONS, hidden, 0.05))]),
  )
  for (let layer = 0; layer < layers; layer += 1) {
    x = normalised(add('Add', [x, attention(x)]))
    x = normalised(add('Add', [x, linear(gelu(linear(x, hidden, 4 * hidden)), 4 * hidden, hidden)]))
  }
  nodes.push(makeNode('Identity', [x], ['states']))
  return makeModel(
    makeGraph({
      nodes,
      inputs: [makeValueInfo('ids', DataType.INT64, ['batch', 'tokens'])],
      outputs: [makeValueInfo('states', DataType.FLOAT, ['batch', 'tokens', hidden])],
      initializers: stored,
    }),
  )
}

/** The first rows of the position table, as many as there are tokens. */
const positions = (
  add: (op: string, inputs: string[], attributes?: NodeProto['attribute']) => string,
  keep: (tensor: TensorProto) => string,
  table: string,
): string => {
  const tokens = add('Slice', [add('Shape', ['ids']), keep(int64Tensor('from_1', [1])), keep(int64Tensor('to_2', [2]))])
  return add('Slice', [table, keep(int64Tensor('first', [0])), tokens, keep(int64Tensor('rows_axis', [0]))])
}

const tokenRows = (path: string, { vocabulary }: Shape, rows: number, tokens: number, seed: number): void => {
  const random = seededRandom(seed)
  const data = BigInt64Array.from({ length: rows * tokens }, () => BigInt(Math.floor(random() * vocabulary)))
  writeNpz(path, { ids: { kind: 'int64', dims: [rows, tokens], data } })
}

export interface EncoderSubject {
  name: string
  title: string
  shape: Shape
  /** Subjects of one file name share the model. */
  file: string
  tokens: number
  budget_s: number
  sqnr_db: number
  /** Wanted: bytes as a share of the original's, and speed. */
  share: number
  speed_up: number
  peers: Subject['peers']
}

/** The same model twice is one file: `folder` is the recipe's, the models lie beside it. */
export const encoderRecipe = (wanted: EncoderSubject): Recipe => ({
  name: wanted.name,
  version: 2,
  make: async (folder) => {
    const model_path = join(folder, '..', wanted.file)
    if (!existsSync(model_path)) writeModelFile(encoder(wanted.shape), model_path)
    const [calibration_path, evaluation_path] = [join(folder, 'calibration.npz'), join(folder, 'evaluation.npz')]
    tokenRows(calibration_path, wanted.shape, 64, wanted.tokens, 1)
    tokenRows(evaluation_path, wanted.shape, 128, wanted.tokens, 2)
    return {
      name: wanted.name,
      title: wanted.title,
      model_path,
      calibration_path,
      evaluation_path,
      // Random weights decide nothing; what is kept is the signal.
      metadata: { class_output: null, accuracy_gate: { sqnr_db: wanted.sqnr_db } },
      target_size_bytes: Math.round(wanted.share * statSync(model_path).size),
      target_speed_up: wanted.speed_up,
      budget_s: wanted.budget_s,
      peers: wanted.peers,
      peer_rows: 8,
    }
  },
})

/** Static quantization of 434 MB keeps every activation of every row: minutes and gigabytes that tell nothing new. */
const withoutStatic = peerTools.filter((tool) => !tool.startsWith('static'))
const small = { shape: miniLm, file: 'minilm.onnx', budget_s: 60, sqnr_db: 30, share: 0.26, speed_up: 2, peers: peerTools }
const large = {
  shape: bertBase,
  file: 'bert-base.onnx',
  budget_s: 60,
  sqnr_db: 20,
  share: 0.26,
  speed_up: 1.5,
  peers: withoutStatic,
}

export const transformerRecipes: readonly Recipe[] = [
  encoderRecipe({ ...small, name: 'minilm-16', title: 'MiniLM-L6 shape, 16 tokens', tokens: 16 }),
  encoderRecipe({ ...small, name: 'minilm-128', title: 'MiniLM-L6 shape, 128 tokens', tokens: 128 }),
  encoderRecipe({ ...large, name: 'bert-1', title: 'BERT-base shape, 1 token', tokens: 1 }),
  encoderRecipe({ ...large, name: 'bert-128', title: 'BERT-base shape, 128 tokens', tokens: 128 }),
]
