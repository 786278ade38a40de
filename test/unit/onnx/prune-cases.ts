import { InferenceSession, Tensor } from 'onnxruntime-node'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import type { AttributeProto, ModelProto, NodeProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import type { Feeds } from '../../../layers/onnx/evaluate/tensors.ts'
import {
  int64Tensor,
  intAttr,
  intsAttr,
  makeGraph,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
} from '../../../layers/onnx/graph/build.ts'

/** Models with channels that add nothing: whatever their places are, removing exactly those changes no answer. */

const size = (dims: readonly number[]) => dims.reduce((product, dim) => product * dim, 1)

export interface Builder {
  nodes: NodeProto[]
  initializers: TensorProto[]
  /** Adds a node and answers its output's name. */
  op(op_type: string, input: string[], attributes?: AttributeProto[], outputs?: string[]): string
  /** Adds random weights; positions of `axis` for which `dead` says so are 0. */
  weight(dims: number[], axis?: number, dead?: (position: number) => boolean): string
  ints(values: number[]): string
}

export function builder(seed: number): Builder {
  const random = seededRandom(seed)
  const nodes: NodeProto[] = []
  const initializers: TensorProto[] = []
  let names = 0
  return {
    nodes,
    initializers,
    op(op_type, input, attributes = [], outputs) {
      const output = outputs ?? [`v${names++}`]
      nodes.push(makeNode(op_type, input, output, { attributes }))
      return output[0] ?? ''
    },
    weight(dims, axis = 0, dead = () => false) {
      const name = `w${names++}`
      const inner = size(dims.slice(axis + 1))
      const scale = Math.sqrt(3 / Math.max(1, size(dims) / (dims[0] ?? 1)))
      const values = Float32Array.from({ length: size(dims) }, (_, at) =>
        dead(Math.floor(at / inner) % (dims[axis] ?? 1)) ? 0 : (random() * 2 - 1) * scale,
      )
      initializers.push(makeTensor(name, dims, values))
      return name
    },
    ints(values) {
      const name = `i${names++}`
      initializers.push(int64Tensor(name, values))
      return name
    },
  }
}

export const finished = (built: Builder, input: (number | string)[], outputs: string[], opset = 17): ModelProto =>
  makeModel(
    makeGraph({
      nodes: built.nodes,
      inputs: [makeValueInfo('x', DataType.FLOAT, input)],
      outputs: outputs.map((name) => makeValueInfo(name, DataType.FLOAT)),
      initializers: built.initializers,
    }),
    { opsets: { '': opset } },
  )

export const rows = (dims: number[], count: number, seed = 1): Feeds[] => {
  const random = seededRandom(seed)
  return Array.from({ length: count }, () => {
    const values = Float32Array.from({ length: size(dims) }, () => random() * 2 - 1)
    return { x: { type: 'float32', dims, bytes: new Uint8Array(values.buffer) } }
  })
}

/** All outputs of a model for some feeds, one after the other. */
export async function answers(model: ModelProto | string, feeds: readonly Feeds[]): Promise<Float32Array> {
  const options = { intraOpNumThreads: 1, logSeverityLevel: 4 as const }
  const session =
    typeof model === 'string'
      ? await InferenceSession.create(model, options)
      : await InferenceSession.create(encodeModel(model), options)
  const all: number[] = []
  for (const row of feeds) {
    const tensors = Object.fromEntries(
      Object.entries(row).flatMap(([name, value]) =>
        'bytes' in value ? [[name, new Tensor('float32', new Float32Array(value.bytes.slice().buffer), value.dims)]] : [],
      ),
    )
    for (const output of Object.values(await session.run(tensors)))
      if (output instanceof Tensor && output.data instanceof Float32Array) all.push(...output.data)
  }
  await session.release()
  return Float32Array.from(all)
}

/** 10·log10(signal ÷ error). */
export const sqnr = (wanted: Float32Array, got: Float32Array): number => {
  if (wanted.length !== got.length) throw new Error(`${got.length} numbers instead of ${wanted.length}`)
  let [signal, error] = [0, 0]
  wanted.forEach((value, at) => {
    signal += value ** 2
    error += (value - got[at]!) ** 2
  })
  return 10 * Math.log10(signal / Math.max(error, 1e-30))
}

const even = (position: number) => position % 2 === 0
const pads = intsAttr('pads', [1, 1, 1, 1])

export interface Case {
  model: ModelProto
  input: number[]
}

const perceptron = (trans_b: boolean): Case => {
  const b = builder(2)
  const flags = trans_b ? [intAttr('transB', 1)] : []
  const dims = (inputs: number, outputs: number) => (trans_b ? [outputs, inputs] : [inputs, outputs])
  const first = b.op('Relu', [b.op('Gemm', ['x', b.weight(dims(12, 32)), b.weight([32])], flags)])
  const out = b.op('Gemm', [first, b.weight(dims(32, 5), trans_b ? 1 : 0, even), b.weight([5])], flags)
  return { model: finished(b, ['n', 12], [out]), input: [3, 12] }
}

/** Conv → normalisation → activation → pool → Flatten → Gemm: each channel is nine inputs of the last layer. */
const classifier = (): Case => {
  const b = builder(3)
  const conv = b.op('Conv', ['x', b.weight([16, 3, 3, 3])], [pads])
  const normal = b.op('BatchNormalization', [conv, b.weight([16]), b.weight([16]), b.weight([16]), b.op('Abs', [b.weight([16])])])
  const pooled = b.op('MaxPool', [b.op('LeakyRelu', [normal])], [intsAttr('kernel_shape', [2, 2]), intsAttr('strides', [2, 2])])
  const flat = b.op('Flatten', [pooled])
  const out = b.op('Gemm', [flat, b.weight([16 * 9, 4], 0, (position) => even(Math.floor(position / 9)))])
  return { model: finished(b, [1, 3, 6, 6], [out]), input: [1, 3, 6, 6] }
}

/** A mobile block with squeeze and excitation; the expanded channels go through a depthwise convolution. */
const inverted = (): Case => {
  const b = builder(4)
  const wide = b.op('HardSwish', [b.op('Conv', ['x', b.weight([32, 8, 1, 1])])])
  const depth = b.op('Conv', [wide, b.weight([32, 1, 3, 3]), b.weight([32])], [pads, intAttr('group', 32)])
  const squeezed = b.op('Relu', [b.op('Conv', [b.op('GlobalAveragePool', [depth]), b.weight([8, 32, 1, 1], 1, even)])])
  const gate = b.op('HardSigmoid', [b.op('Conv', [squeezed, b.weight([32, 8, 1, 1])])])
  const out = b.op('Conv', [b.op('Mul', [depth, gate]), b.weight([8, 32, 1, 1], 1, even)])
  return { model: finished(b, [1, 8, 5, 5], [out]), input: [1, 8, 5, 5] }
}

/** Two blocks that add onto one stream: its channels go together everywhere. */
const residual = (): Case => {
  const b = builder(5)
  const stem = b.op('Conv', ['x', b.weight([16, 3, 3, 3])], [pads])
  let stream = stem
  for (const _ of [1, 2]) {
    const inner = b.op('Relu', [b.op('Conv', [stream, b.weight([8, 16, 3, 3], 1, even)], [pads])])
    stream = b.op('Add', [stream, b.op('Conv', [inner, b.weight([16, 8, 3, 3])], [pads])])
  }
  const out = b.op('Conv', [stream, b.weight([4, 16, 1, 1], 1, even)])
  return { model: finished(b, [1, 3, 6, 6], [out]), input: [1, 3, 6, 6] }
}

/** Branches side by side, split up again by Split into halves that multiply each other. */
const joined = (): Case => {
  const b = builder(6)
  const left = b.op('Conv', ['x', b.weight([16, 4, 1, 1])])
  const right = b.op('Tanh', [b.op('Conv', ['x', b.weight([16, 4, 1, 1])])])
  const both = b.op('Concat', [left, right], [intAttr('axis', 1)])
  b.op('Split', [both], [intAttr('axis', 1)], ['one', 'two'])
  const product = b.op('Mul', ['one', b.op('Sigmoid', ['two'])])
  const out = b.op('ConvTranspose', [product, b.weight([16, 4, 2, 2], 0, even)], [intsAttr('strides', [2, 2])])
  return { model: finished(b, [1, 4, 3, 3], [out]), input: [1, 4, 3, 3] }
}

const WIDTH = 32
const HEADS = 4
/** Whether a position of the concatenated heads belongs to a head that adds nothing. */
const inDeadHead = (position: number) => even(Math.floor(position / (WIDTH / HEADS)))

/** Attention as exporters write it, the shape put together from what the input has; then a feed-forward layer. */
const transformer = (): Case => {
  const b = builder(7)
  const batch = b.op('Gather', [b.op('Shape', ['x']), b.ints([0])], [intAttr('axis', 0)])
  const sizes = b.op('Concat', [batch, b.ints([-1]), b.ints([HEADS]), b.ints([WIDTH / HEADS])], [intAttr('axis', 0)])
  const heads = (order: number[]) => {
    const product = b.op('Add', [b.weight([WIDTH]), b.op('MatMul', ['x', b.weight([WIDTH, WIDTH])])])
    return b.op('Transpose', [b.op('Reshape', [product, sizes])], [intsAttr('perm', order)])
  }
  const scores = b.op('Softmax', [b.op('MatMul', [heads([0, 2, 1, 3]), heads([0, 2, 3, 1])])], [intAttr('axis', -1)])
  const mixed = b.op('Transpose', [b.op('MatMul', [scores, heads([0, 2, 1, 3])])], [intsAttr('perm', [0, 2, 1, 3])])
  const flat = b.op('Reshape', [mixed, b.ints([0, 0, WIDTH])])
  const attended = b.op('Add', ['x', b.op('MatMul', [flat, b.weight([WIDTH, WIDTH], 0, inDeadHead)])])
  const inner = b.op('Erf', [b.op('Add', [b.op('MatMul', [attended, b.weight([WIDTH, 64])]), b.weight([64])])])
  const out = b.op('Add', [attended, b.op('MatMul', [inner, b.weight([64, WIDTH], 0, even)])])
  return { model: finished(b, ['n', 'words', WIDTH], [out]), input: [2, 5, WIDTH] }
}

/** Queries, keys and values from one product, cut apart after the reshape. */
const fusedAttention = (): Case => {
  const b = builder(8)
  const product = b.op('MatMul', ['x', b.weight([WIDTH, 3 * WIDTH])])
  const parts = b.op(
    'Transpose',
    [b.op('Reshape', [product, b.ints([0, -1, 3, HEADS, WIDTH / HEADS])])],
    [intsAttr('perm', [2, 0, 3, 1, 4])],
  )
  const [q = '', k = '', v = ''] = [0, 1, 2].map((at) =>
    b.op('Squeeze', [b.op('Slice', [parts, b.ints([at]), b.ints([at + 1]), b.ints([0])]), b.ints([0])]),
  )
  const scores = b.op(
    'Softmax',
    [b.op('MatMul', [q, b.op('Transpose', [k], [intsAttr('perm', [0, 1, 3, 2])])])],
    [intAttr('axis', -1)],
  )
  const mixed = b.op('Transpose', [b.op('MatMul', [scores, v])], [intsAttr('perm', [0, 2, 1, 3])])
  const flat = b.op('Reshape', [mixed, b.ints([0, -1, WIDTH])])
  const out = b.op('MatMul', [flat, b.weight([WIDTH, 6], 0, inDeadHead)])
  return { model: finished(b, ['n', 'words', WIDTH], [out]), input: [2, 5, WIDTH] }
}

export const cases: Record<string, Case> = {
  'a perceptron': perceptron(false),
  'a perceptron with transposed weights': perceptron(true),
  'a classifier with Flatten': classifier(),
  'a mobile block with squeeze and excitation': inverted(),
  'a residual network': residual(),
  'branches that are joined and split': joined(),
  'attention and a feed-forward layer': transformer(),
  'attention from one product': fusedAttention(),
}
