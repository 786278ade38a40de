import type { AttributeProto, NodeProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import {
  floatAttr,
  int64Tensor,
  intAttr,
  intsAttr,
  makeNode,
  makeTensor,
  scalarTensor,
  stringAttr,
} from '../../../layers/onnx/graph/build.ts'

/** Something to differentiate: nodes that compute `y` from parameters of these shapes, all of which are checked. */
export interface GradientCase {
  name: string
  nodes: NodeProto[]
  parameters: Record<string, number[]>
  constants?: TensorProto[]
  /** Values of the parameters lie in this range, all different. */
  range?: [number, number]
  opset?: number
}

export const caseOf = (
  name: string,
  nodes: NodeProto[],
  parameters: Record<string, number[]>,
  more: Omit<GradientCase, 'name' | 'nodes' | 'parameters'> = {},
): GradientCase => ({ name, nodes, parameters, ...more })

export const node = (op: string, inputs: string[], attributes: AttributeProto[] = [], outputs = ['y']): NodeProto =>
  makeNode(op, inputs, outputs, { attributes })
export const one = (op: string, inputs: string[], attributes: AttributeProto[] = []): NodeProto[] => [
  node(op, inputs, attributes),
]

const ints = int64Tensor
const axis = (value: number): AttributeProto => intAttr('axis', value)
/** Where roots, logarithms and quotients are smooth. */
const smooth: [number, number] = [0.4, 2]
const wide: [number, number] = [-4, 4]

const activations = 'Relu Sigmoid Tanh Erf Exp Neg Abs Sin Cos Softplus Softsign HardSwish Elu LeakyRelu Identity Dropout'.split(
  ' ',
)
const tanhForm = stringAttr('approximate', 'tanh')
const limits = [scalarTensor('low', -0.5), scalarTensor('high', 0.75)]

const unaries: GradientCase[] = [
  ...activations.map((op) => caseOf(op, one(op, ['x']), { x: [3, 5] }, { range: wide })),
  ...['Sqrt', 'Log', 'Reciprocal'].map((op) => caseOf(op, one(op, ['x']), { x: [2, 6] }, { range: smooth })),
  caseOf(
    'HardSigmoid',
    one('HardSigmoid', ['x'], [floatAttr('alpha', 0.3), floatAttr('beta', 0.45)]),
    { x: [12] },
    { range: wide },
  ),
  caseOf('Gelu', one('Gelu', ['x']), { x: [10] }, { opset: 20, range: wide }),
  caseOf('Gelu tanh', one('Gelu', ['x'], [tanhForm]), { x: [10] }, { opset: 20, range: wide }),
  caseOf('Clip', one('Clip', ['x', 'low', 'high']), { x: [12] }, { constants: limits }),
  caseOf('Clip from above', one('Clip', ['x', '', 'high']), { x: [12] }, { constants: limits.slice(1) }),
  caseOf('PRelu', one('PRelu', ['x', 's']), { x: [2, 3, 2], s: [3, 1] }),
  caseOf('Softmax', one('Softmax', ['x']), { x: [3, 4] }),
  caseOf('Softmax axis 1', one('Softmax', ['x'], [axis(1)]), { x: [2, 3, 2] }),
  caseOf('LogSoftmax', one('LogSoftmax', ['x']), { x: [3, 4] }),
  caseOf('LogSoftmax axis 0', one('LogSoftmax', ['x'], [axis(0)]), { x: [3, 4] }),
]

const power = (value: number): { constants: TensorProto[] } => ({ constants: [scalarTensor('p', value)] })

const binaries: GradientCase[] = [
  ...['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min'].flatMap((op) => [
    caseOf(`${op} alike`, one(op, ['a', 'b']), { a: [2, 3], b: [2, 3] }, { range: smooth }),
    caseOf(`${op} broadcast`, one(op, ['a', 'b']), { a: [2, 1, 3], b: [4, 1] }, { range: smooth }),
    caseOf(`${op} scalar`, one(op, ['a', 'b']), { a: [5], b: [] }, { range: smooth }),
  ]),
  caseOf('a value used twice', [node('Mul', ['a', 'a'], [], ['s']), node('Sub', ['s', 'a'])], { a: [5] }),
  caseOf('Sum', one('Sum', ['a', 'b', 'c']), { a: [2, 3], b: [3], c: [2, 1] }),
  caseOf('Pow 2', one('Pow', ['x', 'p']), { x: [6] }, power(2)),
  caseOf('Pow 3.5', one('Pow', ['x', 'p']), { x: [6] }, { ...power(3.5), range: smooth }),
  caseOf('Pow of parameters', one('Pow', ['x', 'p']), { x: [2, 3], p: [3] }, { range: smooth }),
  caseOf(
    'Where',
    [node('Greater', ['a', 'b'], [], ['c']), node('Where', ['c', 'a', 'd'])],
    { a: [2, 3], d: [3] },
    { constants: [scalarTensor('b', 0.01)] },
  ),
  caseOf('Cast', [node('Cast', ['x'], [intAttr('to', 1)], ['c']), node('Exp', ['c'])], { x: [4] }),
]

const reductions: GradientCase[] = [
  ...['ReduceMean', 'ReduceMax', 'ReduceMin'].flatMap((op) => [
    caseOf(`${op} by attribute`, one(op, ['x'], [intsAttr('axes', [-1]), intAttr('keepdims', 0)]), { x: [2, 3, 2] }),
    caseOf(`${op} by input`, one(op, ['x', 'axes']), { x: [2, 3, 2] }, { constants: [ints('axes', [0, 2])], opset: 18 }),
    caseOf(`${op} of all`, one(op, ['x'], [intAttr('keepdims', 0)]), { x: [2, 3] }),
  ]),
  caseOf('ReduceSum', one('ReduceSum', ['x', 'a'], [intAttr('keepdims', 0)]), { x: [2, 3, 2] }, { constants: [ints('a', [1])] }),
  caseOf('ReduceSum of nothing', one('ReduceSum', ['x'], [intAttr('noop_with_empty_axes', 1)]), { x: [2, 3] }),
  caseOf('ReduceSumSquare', one('ReduceSumSquare', ['x'], [intsAttr('axes', [1])]), { x: [2, 3] }),
]

const indices = (dims: number[], ...values: bigint[]): { constants: TensorProto[] } => ({
  constants: [makeTensor('i', dims, BigInt64Array.from(values))],
})

const moves: GradientCase[] = [
  caseOf(
    'Reshape',
    [node('Reshape', ['x', 'to'], [], ['r']), node('Exp', ['r'])],
    { x: [2, 6] },
    { constants: [ints('to', [3, -1])] },
  ),
  caseOf('Flatten', one('Flatten', ['x']), { x: [2, 3, 2] }),
  caseOf('Squeeze', one('Squeeze', ['x', 'axes']), { x: [2, 1, 3] }, { constants: [ints('axes', [1])] }),
  caseOf('Unsqueeze', one('Unsqueeze', ['x', 'axes']), { x: [2, 3] }, { constants: [ints('axes', [0, -1])] }),
  caseOf('Transpose', one('Transpose', ['x'], [intsAttr('perm', [2, 0, 1])]), { x: [2, 3, 4] }),
  caseOf('Transpose reversed', one('Transpose', ['x']), { x: [2, 3, 2] }),
  caseOf('Concat', one('Concat', ['a', 'b', 'c'], [axis(-1)]), { a: [2, 3], b: [2, 1], c: [2, 2] }),
  caseOf(
    'Split',
    [node('Split', ['x', 'parts'], [axis(1)], ['p', 'q', 'r']), node('Mul', ['p', 'r'])],
    { x: [2, 6] },
    { constants: [ints('parts', [2, 2, 2])] },
  ),
  caseOf(
    'Slice',
    one('Slice', ['x', 's', 'e', 'a']),
    { x: [4, 5] },
    { constants: [ints('s', [1, -3]), ints('e', [3, 100]), ints('a', [0, -1])] },
  ),
  caseOf(
    'Slice in steps',
    one('Slice', ['x', 's', 'e', 'a', 'p']),
    { x: [5, 6] },
    { constants: [ints('s', [4, 1]), ints('e', [-100, 6]), ints('a', [0, 1]), ints('p', [-2, 2])] },
  ),
  caseOf('Pad', one('Pad', ['x', 'p']), { x: [2, 3] }, { constants: [ints('p', [1, 0, 0, 2])] }),
  caseOf('Pad that cuts', one('Pad', ['x', 'p']), { x: [3, 4] }, { constants: [ints('p', [0, -1, 1, -1])] }),
  caseOf('Gather rows', one('Gather', ['x', 'i']), { x: [5, 3] }, indices([2, 2], 0n, 3n, 3n, -1n)),
  caseOf('Gather one', one('Gather', ['x', 'i'], [axis(1)]), { x: [2, 3, 2] }, indices([], 1n)),
  caseOf('Expand', one('Expand', ['x', 'to']), { x: [3, 1] }, { constants: [ints('to', [2, 3, 4])] }),
]

export const elementCases: readonly GradientCase[] = [...unaries, ...binaries, ...reductions, ...moves]
