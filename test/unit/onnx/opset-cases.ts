import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import type { AttributeProto, ModelProto, NodeProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import type { Feeds } from '../../../layers/onnx/evaluate/tensors.ts'
import {
  floatAttr,
  floatsAttr,
  graphAttr,
  int64Tensor,
  intAttr,
  intsAttr,
  makeGraph,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
  stringAttr,
  tensorAttr,
} from '../../../layers/onnx/graph/build.ts'

const volume = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1)
/** Numbers that look random and are the same every time. */
export const floats = (dims: number[], size = 3, name = 'w'): TensorProto =>
  makeTensor(
    name,
    dims,
    Float32Array.from({ length: volume(dims) }, (_, at) => Math.sin(at * 1.7 + name.length) * size),
  )
const positive = (dims: number[], name = 'w'): TensorProto =>
  makeTensor(
    name,
    dims,
    Float32Array.from({ length: volume(dims) }, (_, at) => 0.5 + ((at * 7) % 5) / 3),
  )
const given = (name: string, dims: number[], ...values: number[]): TensorProto =>
  makeTensor(name, dims, Float32Array.from(values))
const whole = (name: string, dims: number[], ...values: number[]): TensorProto => ({ ...int64Tensor(name, values), dims })
const bytes = (name: string, dims: number[], ...values: number[]): TensorProto => makeTensor(name, dims, Uint8Array.from(values))
const flags = (name: string, dims: number[], ...values: number[]): TensorProto =>
  makeTensor(name, dims, Uint8Array.from(values), DataType.BOOL)

const typeNames: Readonly<Record<number, string>> = {
  [DataType.FLOAT]: 'float32',
  [DataType.INT64]: 'int64',
  [DataType.INT32]: 'int32',
  [DataType.UINT8]: 'uint8',
  [DataType.INT8]: 'int8',
  [DataType.BOOL]: 'bool',
}

/** One operator (or a few nodes) as an old model writes it, and what it is fed. */
export interface OpsetCase {
  name: string
  operator: string
  opset: number
  model: ModelProto
  feeds: Feeds
}

interface Extra {
  says?: string
  attributes?: AttributeProto[]
  outputs?: number
  /** Instead of the one node: from `x` and the stored ones to y0, y1 … */
  nodes?: NodeProto[]
}

/** x is fed; the other inputs are stored under their names, null leaves a place empty. */
const on = (
  operator: string,
  opset: number,
  x: TensorProto,
  others: (TensorProto | null)[] = [],
  extra: Extra = {},
): OpsetCase => {
  const stored = others.filter((tensor) => tensor !== null)
  const outputs = Array.from({ length: extra.outputs ?? 1 }, (_, at) => `y${at}`)
  const { attributes = [] } = extra
  const nodes = extra.nodes ?? [makeNode(operator, ['x', ...others.map((tensor) => tensor?.name ?? '')], outputs, { attributes })]
  const graph = makeGraph({
    nodes,
    inputs: [makeValueInfo('x', x.data_type ?? 1, x.dims)],
    outputs: outputs.map((name) => ({ name, metadata_props: [] })),
    initializers: stored,
  })
  return {
    name: `${operator}-${opset}${extra.says ? ` ${extra.says}` : ''}`,
    operator,
    opset,
    model: makeModel(graph, { opsets: { '': opset }, ir_version: 8 }),
    feeds: { x: { type: typeNames[x.data_type ?? 0] ?? '', dims: x.dims, bytes: x.raw_data ?? new Uint8Array(0) } },
  }
}

const cube = floats([2, 3, 4])
const cubePositive = positive([2, 3, 4])
const image = floats([1, 2, 5, 6])
const square = floats([1, 1, 4, 6])
const odd = given('x', [4], Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1)
const ints = whole('x', [2, 3], 1, -2, 3, 0, 2, 7)

const unary = (opset: number, names: string): OpsetCase[] => names.split(' ').map((name) => on(name, opset, cubePositive))
const binary = (opset: number, names: string, x = cube, w = floats([3, 4], 2)): OpsetCase[] =>
  names.split(' ').map((name) => on(name, opset, x, [w]))
const axis = (at: number): AttributeProto => intAttr('axis', at)
const kernel = [intsAttr('kernel_shape', [3, 2]), intsAttr('strides', [2, 2])]

const simple: OpsetCase[] = [
  ...unary(7, 'Abs Ceil Exp Floor Identity Log Neg Reciprocal Relu Shape Sigmoid Size Sqrt Tanh Flatten'),
  ...unary(9, 'Erf IsNaN NonZero Sign'),
  on('IsInf', 10, odd),
  on('IsNaN', 9, odd),
  on('LeakyRelu', 7, cube, [], { attributes: [floatAttr('alpha', 0.2)] }),
  ...binary(7, 'Add Sub Mul Div PRelu Greater Less'),
  ...binary(7, 'Max Min Mean Sum', cube, floats([2, 3, 4], 2)),
  ...binary(12, 'GreaterOrEqual LessOrEqual'),
  on('Pow', 7, cubePositive, [floats([4], 2)]),
  on('Equal', 7, ints, [whole('w', [3], 1, 2, 3)]),
  on('Mod', 10, ints, [whole('w', [3], 2, 3, 5)]),
  on('Mod', 10, cube, [positive([4])], { says: 'of floats', attributes: [intAttr('fmod', 1)] }),
  on('MatMul', 7, cube, [floats([4, 5])]),
  on('Gemm', 7, floats([3, 4]), [floats([5, 4]), floats([5], 1, 'c')], {
    attributes: [intAttr('transB', 1), floatAttr('beta', 0.5)],
  }),
  on('Cast', 7, cube, [], { attributes: [intAttr('to', DataType.INT32)] }),
  on('CastLike', 15, cube, [whole('w', [1], 1)]),
  on('Concat', 7, cube, [floats([2, 1, 4])], { attributes: [axis(1)] }),
  on('Transpose', 7, cube, [], { attributes: [intsAttr('perm', [2, 0, 1])] }),
  on('Flatten', 7, cube, [], { attributes: [axis(2)] }),
  on('Reshape', 7, cube, [whole('w', [2], 0, -1)]),
  on('Expand', 8, floats([3, 1]), [whole('w', [3], 2, 1, 4)]),
  on('Tile', 7, cube, [whole('w', [3], 1, 2, 2)]),
  on('Gather', 7, cube, [whole('w', [2], 2, 0)], { attributes: [axis(1)] }),
  on('GatherElements', 11, floats([2, 3]), [whole('w', [2, 2], 0, 2, 1, -1)], { attributes: [axis(1)] }),
  on('GatherND', 11, cube, [whole('w', [2, 2], 0, 1, 1, 2)]),
  on('ScatterElements', 11, floats([2, 3]), [whole('w', [1, 2], 0, 2), floats([1, 2], 1, 'u')], { attributes: [axis(1)] }),
  on('ScatterElements', 16, floats([2, 3]), [whole('w', [1, 2], 0, 0), floats([1, 2], 1, 'u')], {
    says: 'adding',
    attributes: [axis(1), stringAttr('reduction', 'add')],
  }),
  on('ScatterND', 11, cube, [whole('w', [1, 2], 1, 2), floats([1, 4], 1, 'u')]),
  on('Scatter', 9, floats([2, 3]), [whole('w', [1, 2], 0, 2), floats([1, 2], 1, 'u')], { attributes: [axis(1)] }),
  on('Compress', 9, cube, [flags('w', [3], 1, 0, 1)], { attributes: [axis(1)] }),
  on('Where', 9, flags('x', [3], 1, 0, 1), [floats([2, 3]), floats([3], 1, 'v')]),
  on('OneHot', 9, ints, [whole('d', [], 4), given('v', [2], -1, 2)], { attributes: [axis(1)] }),
  on('CumSum', 11, cube, [whole('w', [], 1)], { attributes: [intAttr('reverse', 1)] }),
  on('ConstantOfShape', 9, whole('x', [2], 2, 3), [], { attributes: [tensorAttr('value', given('v', [1], 7))] }),
  on('ArgMax', 7, cube, [], { attributes: [axis(2)] }),
  on('ArgMin', 7, cube, [], { attributes: [axis(1), intAttr('keepdims', 0)] }),
  on('DepthToSpace', 7, floats([1, 8, 2, 3]), [], { attributes: [intAttr('blocksize', 2)] }),
  on('SpaceToDepth', 7, floats([1, 2, 4, 6]), [], { attributes: [intAttr('blocksize', 2)] }),
  on('LRN', 7, image, [], { attributes: [intAttr('size', 3)] }),
  on('MeanVarianceNormalization', 9, image, [], { attributes: [intsAttr('axes', [0, 2, 3])] }),
  on('NonMaxSuppression', 10, given('x', [1, 3, 4], 0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, 2, 1, 3), [
    given('s', [1, 1, 3], 0.9, 0.8, 0.7),
    whole('m', [1], 3),
    given('i', [1], 0.5),
    given('t', [1], 0.1),
  ]),
  on('Constant', 7, cube, [], {
    nodes: [
      makeNode('Constant', [], ['c'], { attributes: [tensorAttr('value', given('v', [1], 3))] }),
      makeNode('Add', ['x', 'c'], ['y0']),
    ],
  }),
  on('Hardmax', 7, cube, [], { attributes: [axis(1)] }),
  on('QLinearMatMul', 10, bytes('x', [2, 3], 1, 2, 3, 250, 5, 6), [
    given('xs', [], 0.1),
    bytes('xz', [], 3),
    bytes('w', [3, 2], 9, 8, 7, 6, 5, 4),
    given('ws', [], 0.2),
    bytes('wz', [], 1),
    given('ys', [], 0.5),
    bytes('yz', [], 10),
  ]),
  on('QuantizeLinear', 10, cube, [given('s', [], 0.05), bytes('z', [], 128)]),
  on('QuantizeLinear', 13, cube, [given('s', [3], 0.05, 0.1, 0.2), bytes('z', [3], 128, 100, 0)], {
    says: 'per channel',
    attributes: [axis(1)],
  }),
  on('DequantizeLinear', 10, bytes('x', [4], 0, 1, 128, 255), [given('s', [], 0.05), bytes('z', [], 128)]),
  on('DequantizeLinear', 13, bytes('x', [2, 3], 0, 1, 2, 3, 4, 255), [given('s', [3], 0.05, 0.1, 0.2)], { says: 'per channel' }),
]

const changed: OpsetCase[] = [
  on('Clip', 7, odd, [], { says: 'without bounds' }),
  on('Clip', 7, cube, [], { attributes: [floatAttr('max', 0.5)] }),
  on('Clip', 9, cube, [], { attributes: [floatAttr('min', -1), floatAttr('max', 0.5)] }),
  on('Clip', 11, cube, [given('a', [], -1), given('b', [], 0.5)]),
  on('Slice', 7, cube, [], {
    attributes: [intsAttr('starts', [1, 0]), intsAttr('ends', [2n ** 63n - 1n, -1]), intsAttr('axes', [1, 2])],
  }),
  on('Slice', 9, cube, [], { says: 'without axes', attributes: [intsAttr('starts', [0, 1]), intsAttr('ends', [1, 3])] }),
  on('Slice', 10, cube, [whole('a', [1], -1), whole('b', [1], -99), whole('c', [1], 2), whole('d', [1], -2)], {
    says: 'backwards',
  }),
  on('Squeeze', 7, floats([1, 4, 6, 1]), [], { attributes: [intsAttr('axes', [0, 3])] }),
  on('Squeeze', 11, floats([1, 4, 6, 1]), [], { says: 'of all' }),
  on('Unsqueeze', 7, cube, [], { attributes: [intsAttr('axes', [0, 4])] }),
  on('Unsqueeze', 11, cube, [], { attributes: [intsAttr('axes', [-1, 0])] }),
  ...'L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare'
    .split(' ')
    .flatMap((kind) => [
      on(`Reduce${kind}`, 7, cubePositive, [], { attributes: [intsAttr('axes', [1, 2]), intAttr('keepdims', 0)] }),
      on(`Reduce${kind}`, 11, cubePositive, [], { attributes: [intsAttr('axes', [-2])] }),
      on(`Reduce${kind}`, 12, cubePositive, [], { says: 'over all' }),
    ]),
  on('Split', 7, cube, [], { says: 'evenly', attributes: [axis(2)], outputs: 2 }),
  on('Split', 11, cube, [], { attributes: [axis(-1), intsAttr('split', [1, 3])], outputs: 2 }),
  on('Split', 13, cube, [], { says: 'evenly', attributes: [axis(1)], outputs: 3 }),
  on('Split', 13, cube, [whole('s', [2], 3, 1)], { attributes: [axis(2)], outputs: 2 }),
  on('Pad', 7, cube, [], { attributes: [intsAttr('pads', [0, 1, 0, 0, 0, 2]), floatAttr('value', 7)] }),
  on('Pad', 7, cube, [], {
    says: 'by reflection',
    attributes: [stringAttr('mode', 'reflect'), intsAttr('pads', [0, 1, 1, 0, 1, 1])],
  }),
  on('Pad', 11, cube, [whole('p', [6], 0, 1, 0, 0, -1, 2), given('v', [], 2)]),
  on('Softmax', 7, cube, [], { says: 'on its default axis' }),
  on('Softmax', 12, cube, [], { says: 'on the last axis', attributes: [axis(2)] }),
  on('LogSoftmax', 7, cube, [], { says: 'on axis 0', attributes: [axis(0)] }),
  on('LogSoftmax', 11, cube, [], { attributes: [axis(-1)] }),
  on('Dropout', 7, cube, [], { attributes: [floatAttr('ratio', 0.3)] }),
  on('Dropout', 10, cube),
  on('Dropout', 12, cube, [given('r', [], 0.3)], { says: 'with its mask', outputs: 2 }),
  on('TopK', 7, cube, [], { attributes: [intAttr('k', 2), axis(1)], outputs: 2 }),
  on('TopK', 10, cube, [whole('k', [1], 2)], { outputs: 2 }),
  ...[7, 9, 14].map((opset) =>
    on(
      'BatchNormalization',
      opset,
      cube,
      ['s', 'b', 'm', 'v'].map((name) => positive([3], name)),
    ),
  ),
  on('Upsample', 7, square, [], { attributes: [floatsAttr('scales', [1, 1, 2, 1.5])] }),
  on('Upsample', 9, square, [given('k', [4], 1, 1, 2, 2)], { says: 'linearly', attributes: [stringAttr('mode', 'linear')] }),
  on('Resize', 10, square, [given('k', [4], 1, 1, 0.5, 0.4)], { says: 'down to the nearest' }),
  on('Resize', 10, square, [given('k', [4], 1, 1, 1.7, 2.5)], { says: 'linearly', attributes: [stringAttr('mode', 'linear')] }),
  ...['half_pixel', 'align_corners', 'asymmetric', 'pytorch_half_pixel'].flatMap((mode) => [
    on('Resize', 11, square, [given('roi', [0]), given('k', [4], 1, 1, 1.7, 0.5)], {
      says: mode,
      attributes: [stringAttr('mode', 'linear'), stringAttr('coordinate_transformation_mode', mode)],
    }),
    on('Resize', 11, square, [given('roi', [0]), given('k', [0]), whole('z', [4], 1, 1, 7, 3)], {
      says: `to sizes, ${mode}`,
      attributes: [stringAttr('mode', 'nearest'), stringAttr('coordinate_transformation_mode', mode)],
    }),
  ]),
  on('Resize', 11, square, [given('roi', [0]), given('k', [4], 1, 1, 2, 2)], {
    says: 'cubic',
    attributes: [stringAttr('mode', 'cubic')],
  }),
  on('Resize', 13, square, [null, null, whole('z', [4], 1, 1, 8, 3)], {
    says: 'without scales',
    attributes: [stringAttr('mode', 'linear')],
  }),
  on('RoiAlign', 10, image, [given('r', [1, 4], 0.5, 0.5, 3.2, 4), whole('b', [1], 0)], {
    attributes: [intAttr('output_height', 2), intAttr('output_width', 2)],
  }),
  on('DFT', 17, floats([1, 4, 6, 1]), [], { says: 'on its default axis' }),
  on('DFT', 17, floats([1, 4, 6, 2]), [whole('n', [], 5)], { attributes: [axis(2), intAttr('inverse', 1)] }),
  ...['bilinear', 'bicubic', 'nearest'].map((mode) =>
    on('GridSample', 16, image, [floats([1, 3, 3, 2], 1)], { says: mode, attributes: [stringAttr('mode', mode)] }),
  ),
  on('GridSample', 16, image, [floats([1, 3, 3, 2], 1)], { says: 'in its default mode' }),
  on('GroupNormalization', 18, floats([2, 6, 4]), [positive([3], 's'), positive([3], 'b')], {
    attributes: [intAttr('num_groups', 3)],
  }),
]

const pooled: OpsetCase[] = [
  ...['AveragePool', 'LpPool', 'MaxPool'].flatMap((pool) => [
    on(pool, 7, image, [], { attributes: kernel }),
    ...['SAME_UPPER', 'SAME_LOWER', 'VALID'].map((auto) =>
      on(pool, 7, image, [], { says: auto, attributes: [...kernel, stringAttr('auto_pad', auto)] }),
    ),
  ]),
  on('MaxPool', 8, image, [], { says: 'with indices', attributes: [...kernel, intsAttr('pads', [1, 0, 0, 1])], outputs: 2 }),
  on('MaxPool', 10, image, [], {
    says: 'rounding up',
    attributes: [...kernel, intAttr('ceil_mode', 1), intsAttr('dilations', [1, 2])],
  }),
  on('MaxUnpool', 9, given('x', [1, 1, 2, 2], 1, 2, 3, 4), [whole('i', [1, 1, 2, 2], 5, 7, 13, 15)], {
    attributes: [intsAttr('kernel_shape', [2, 2]), intsAttr('strides', [2, 2])],
  }),
  on('AveragePool', 10, image, [], {
    says: 'rounding up, padding counted',
    attributes: [...kernel, intAttr('ceil_mode', 1), intAttr('count_include_pad', 1), intsAttr('pads', [1, 1, 0, 0])],
  }),
  on('Conv', 7, image, [floats([3, 2, 3, 3]), floats([3], 1, 'b')], {
    attributes: [stringAttr('auto_pad', 'SAME_LOWER'), intsAttr('strides', [2, 2])],
  }),
  on('ConvTranspose', 7, image, [floats([2, 3, 3, 3])], {
    attributes: [stringAttr('auto_pad', 'SAME_UPPER'), intsAttr('strides', [2, 2])],
  }),
  on('ConvTranspose', 10, image, [floats([2, 1, 3, 3])], {
    says: 'to a shape',
    attributes: [intsAttr('strides', [2, 2]), intsAttr('output_shape', [9, 12])],
  }),
]

const recurrent = (operator: string, gates: number): OpsetCase =>
  on(
    operator,
    7,
    floats([5, 2, 3]),
    [floats([1, gates * 4, 3], 1), floats([1, gates * 4, 4], 1, 'r'), floats([1, gates * 8], 1, 'bias')],
    {
      attributes: [intAttr('hidden_size', 4)],
      outputs: 2,
    },
  )

const branch = (name: string, nodes: NodeProto[]) =>
  makeGraph({ name, nodes, outputs: [{ name: nodes.at(-1)?.output[0] ?? '', metadata_props: [] }] })

/** Old forms inside the branches of If and the bodies of Loop and Scan. */
const nested: OpsetCase[] = [
  on('If', 7, cube, [flags('c', [], 1)], {
    says: 'with Slice inside',
    nodes: [
      makeNode('If', ['c'], ['y0'], {
        attributes: [
          graphAttr(
            'then_branch',
            branch('a', [makeNode('Slice', ['x'], ['t'], { attributes: [intsAttr('starts', [1]), intsAttr('ends', [2])] })]),
          ),
          graphAttr(
            'else_branch',
            branch('b', [makeNode('Slice', ['x'], ['e'], { attributes: [intsAttr('starts', [0]), intsAttr('ends', [1])] })]),
          ),
        ],
      }),
    ],
  }),
  on('Loop', 7, cube, [whole('n', [], 3), flags('c', [], 1)], {
    says: 'with ReduceMean inside',
    outputs: 2,
    nodes: [
      makeNode('Loop', ['n', 'c', 'x'], ['y0', 'y1'], {
        attributes: [
          graphAttr('body', {
            ...makeGraph({
              nodes: [
                makeNode('Identity', ['go'], ['go_on']),
                makeNode('ReduceMean', ['v'], ['mean'], { attributes: [intsAttr('axes', [2])] }),
                makeNode('Sub', ['v', 'mean'], ['next']),
              ],
              inputs: [
                makeValueInfo('i', DataType.INT64, []),
                makeValueInfo('go', DataType.BOOL, []),
                makeValueInfo('v', DataType.FLOAT),
              ],
              outputs: [
                makeValueInfo('go_on', DataType.BOOL, []),
                makeValueInfo('next', DataType.FLOAT),
                makeValueInfo('mean', DataType.FLOAT),
              ],
            }),
          }),
        ],
      }),
    ],
  }),
  on('Scan', 9, cube, [given('zero', [3, 4], ...new Array(12).fill(0))], {
    says: 'with Clip inside',
    outputs: 2,
    nodes: [
      makeNode('Scan', ['zero', 'x'], ['y0', 'y1'], {
        attributes: [
          intAttr('num_scan_inputs', 1),
          graphAttr(
            'body',
            makeGraph({
              nodes: [
                makeNode('Add', ['sum', 'each'], ['total']),
                makeNode('Clip', ['total'], ['cut'], { attributes: [floatAttr('min', -1), floatAttr('max', 1)] }),
              ],
              inputs: [makeValueInfo('sum', DataType.FLOAT, [3, 4]), makeValueInfo('each', DataType.FLOAT, [3, 4])],
              outputs: [makeValueInfo('total', DataType.FLOAT, [3, 4]), makeValueInfo('cut', DataType.FLOAT, [3, 4])],
            }),
          ),
        ],
      }),
    ],
  }),
  on('OptionalHasElement', 15, cube, [], {
    nodes: [makeNode('Optional', ['x'], ['o']), makeNode('OptionalHasElement', ['o'], ['y0'])],
  }),
  on('OptionalGetElement', 15, cube, [], {
    nodes: [makeNode('Optional', ['x'], ['o']), makeNode('OptionalGetElement', ['o'], ['y0'])],
  }),
]

export const opsetCases: OpsetCase[] = [
  ...simple,
  ...changed,
  ...pooled,
  recurrent('RNN', 1),
  recurrent('GRU', 3),
  recurrent('LSTM', 4),
  ...nested,
]
