import type { NodeProto } from '../codec/schema.ts'
import { elementCount, tensorNumbers } from '../codec/tensor-values.ts'
import { attributeOf, floatsAttribute, intAttribute, intsAttribute, stringAttribute } from '../graph/attributes.ts'
import { constantValue } from '../graph/index-graph.ts'
import type { ShapeRule, ValueFacts } from './infer-shapes.ts'
import { numberRules } from './number-rules.ts'
import {
  broadcast,
  fromStart,
  matMulShape,
  product,
  type Shape,
  sliceCount,
  slideWindow,
  type Window,
} from './shape-arithmetic.ts'

const shaped = (shape: Shape | undefined): (ValueFacts | undefined)[] => [shape && { shape }]
const asFirst: ShapeRule = (node, [first]) => node.output.map(() => first?.shape && { shape: first.shape })
const broadcastAll: ShapeRule = (_node, inputs) => shaped(broadcast(inputs.map((input) => input?.shape)))

/** Axes of an operator: an attribute, or since some opset an input; undefined when they are computed, [] when left out. */
const axesOf = (node: NodeProto, input: ValueFacts | undefined): number[] | undefined =>
  intsAttribute(node, 'axes') ?? (node.input[1] ? input?.numbers : [])

const windowOf = (node: NodeProto, kernel: Shape): Window => ({
  kernel,
  strides: intsAttribute(node, 'strides') ?? [],
  pads: intsAttribute(node, 'pads') ?? [],
  dilations: intsAttribute(node, 'dilations') ?? [],
  auto_pad: stringAttribute(node, 'auto_pad', 'NOTSET'),
  ceil: intAttribute(node, 'ceil_mode', 0) === 1,
})

const conv: ShapeRule = (node, [x, w]) => {
  if (!x?.shape || !w?.shape) return undefined
  const spatial = slideWindow(x.shape.slice(2), windowOf(node, w.shape.slice(2)))
  return shaped(spatial && [x.shape[0]!, w.shape[0]!, ...spatial])
}

const convTranspose: ShapeRule = (node, [x, w]) => {
  if (!x?.shape || !w?.shape) return undefined
  const { strides, pads, dilations, auto_pad } = windowOf(node, [])
  const extra = intsAttribute(node, 'output_padding') ?? []
  const fixed = intsAttribute(node, 'output_shape')
  const spatial = x.shape.slice(2).map((size, axis) => {
    const stride = strides[axis] ?? 1
    const reach = (w.shape![axis + 2]! - 1) * (dilations[axis] ?? 1) + 1
    if (auto_pad.startsWith('SAME')) return size * stride
    return stride * (size - 1) + (extra[axis] ?? 0) + reach - (pads[axis] ?? 0) - (pads[axis + x.shape!.length - 2] ?? 0)
  })
  return shaped([x.shape[0]!, w.shape[1]! * intAttribute(node, 'group', 1), ...(fixed ?? spatial)])
}

const pool: ShapeRule = (node, [x]) => {
  const spatial = x?.shape && slideWindow(x.shape.slice(2), windowOf(node, intsAttribute(node, 'kernel_shape') ?? []))
  const shape = spatial && [...x.shape!.slice(0, 2), ...spatial]
  return node.output.map(() => shape && { shape })
}

const globalPool: ShapeRule = (_node, [x]) => shaped(x?.shape && [...x.shape.slice(0, 2), ...x.shape.slice(2).map(() => 1)])

const gemm: ShapeRule = (node, [a, b]) => {
  if (a?.shape?.length !== 2 || b?.shape?.length !== 2) return undefined
  return shaped([a.shape[intAttribute(node, 'transA', 0) ? 1 : 0]!, b.shape[intAttribute(node, 'transB', 0) ? 0 : 1]!])
}

const reshape: ShapeRule = (node, [data, target]) => {
  const wanted = target?.numbers
  if (!data?.shape || !wanted) return undefined
  const zero_copies = intAttribute(node, 'allowzero', 0) === 0
  const dims = wanted.map((size, axis) => (size === 0 && zero_copies ? (data.shape![axis] ?? 0) : size))
  const known = product(dims.filter((size) => size !== -1))
  const shape = dims.map((size) => (size === -1 ? (known === 0 ? 0 : product(data.shape!) / known) : size))
  return product(shape) === product(data.shape) ? [{ shape, numbers: data.numbers }] : undefined
}

const flatten: ShapeRule = (node, [x]) => {
  if (!x?.shape) return undefined
  const axis = fromStart(intAttribute(node, 'axis', 1), x.shape.length)
  return shaped([product(x.shape.slice(0, axis)), product(x.shape.slice(axis))])
}

const transpose: ShapeRule = (node, [x]) => {
  const order = intsAttribute(node, 'perm') ?? x?.shape?.map((_, axis) => x.shape!.length - 1 - axis)
  return shaped(x?.shape && order?.map((axis) => x.shape![axis] ?? Number.NaN))
}

const unsqueeze: ShapeRule = (node, [x, second]) => {
  const axes = axesOf(node, second)
  if (!x?.shape || !axes) return undefined
  const rank = x.shape.length + axes.length
  const added = new Set(axes.map((axis) => fromStart(axis, rank)))
  const rest = [...x.shape]
  return [
    {
      shape: Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (rest.shift() ?? Number.NaN))),
      numbers: x.numbers,
    },
  ]
}

const squeeze: ShapeRule = (node, [x, second]) => {
  const axes = axesOf(node, second)
  if (!x?.shape || !axes) return undefined
  const gone = new Set(axes.map((axis) => fromStart(axis, x.shape!.length)))
  return [{ shape: x.shape.filter((size, axis) => (gone.size > 0 ? !gone.has(axis) : size !== 1)), numbers: x.numbers }]
}

const slice: ShapeRule = (node, [x, starts, ends, axes, steps]) => {
  const from = intsAttribute(node, 'starts') ?? starts?.numbers
  const to = intsAttribute(node, 'ends') ?? ends?.numbers
  if (!x?.shape || !from || !to || (node.input[3] && !axes?.numbers) || (node.input[4] && !steps?.numbers)) return undefined
  const along = intsAttribute(node, 'axes') ?? axes?.numbers ?? from.map((_, axis) => axis)
  const shape = [...x.shape]
  along.forEach((axis, at) => {
    const real = fromStart(axis, shape.length)
    shape[real] = sliceCount(x.shape![real] ?? 0, from[at] ?? 0, to[at] ?? 0, steps?.numbers?.[at] ?? 1)
  })
  const cut = x.numbers && shape.length === 1 && (steps?.numbers?.[0] ?? 1) === 1 ? x.numbers.slice(from[0], to[0]) : undefined
  return [{ shape, numbers: cut }]
}

const split: ShapeRule = (node, [x, sizes]) => {
  if (!x?.shape || (node.input[1] && !sizes?.numbers)) return undefined
  const axis = fromStart(intAttribute(node, 'axis', 0), x.shape.length)
  const parts = node.output.length
  const even = Math.ceil(x.shape[axis]! / parts)
  const each =
    intsAttribute(node, 'split') ??
    sizes?.numbers ??
    node.output.map((_, at) => (at < parts - 1 ? even : x.shape![axis]! - even * (parts - 1)))
  return node.output.map((_, at) => ({ shape: x.shape!.with(axis, each[at] ?? Number.NaN) }))
}

const reduce: ShapeRule = (node, [x, second]) => {
  const axes = axesOf(node, second)
  if (!x?.shape || !axes) return undefined
  if (axes.length === 0 && intAttribute(node, 'noop_with_empty_axes', 0) === 1) return shaped(x.shape)
  const gone = new Set((axes.length > 0 ? axes : x.shape.map((_, axis) => axis)).map((axis) => fromStart(axis, x.shape!.length)))
  if (intAttribute(node, 'keepdims', 1) === 1) return shaped(x.shape.map((size, axis) => (gone.has(axis) ? 1 : size)))
  return shaped(x.shape.filter((_, axis) => !gone.has(axis)))
}

const argReduce: ShapeRule = (node, [x]) => {
  if (!x?.shape) return undefined
  const axis = fromStart(intAttribute(node, 'axis', 0), x.shape.length)
  return shaped(intAttribute(node, 'keepdims', 1) === 1 ? x.shape.with(axis, 1) : x.shape.toSpliced(axis, 1))
}

const pad: ShapeRule = (node, [x, second]) => {
  const pads = intsAttribute(node, 'pads') ?? second?.numbers
  if (!x?.shape || pads?.length !== x.shape.length * 2) return undefined
  return shaped(x.shape.map((size, axis) => size + pads[axis]! + pads[axis + x.shape!.length]!))
}

const resize: ShapeRule = (node, inputs) => {
  const x = inputs[0]?.shape
  const scales = floatsAttribute(node, 'scales') ?? inputs[node.op_type === 'Upsample' || inputs.length === 2 ? 1 : 2]?.numbers
  const sizes = inputs[3]?.numbers
  if (!x || attributeOf(node, 'axes')) return undefined
  if (sizes?.length === x.length) return shaped(sizes)
  return scales?.length === x.length ? shaped(x.map((size, axis) => Math.floor(size * scales[axis]!))) : undefined
}

const recurrent: ShapeRule = (node, [x, w]) => {
  if (!x?.shape || !w?.shape || intAttribute(node, 'layout', 0) !== 0) return undefined
  const [length, batch, directions, hidden] = [x.shape[0]!, x.shape[1]!, w.shape[0]!, intAttribute(node, 'hidden_size', 0)]
  const state = { shape: [directions, batch, hidden] }
  return [{ shape: [length, directions, batch, hidden] }, state, state]
}

const constant: ShapeRule = (node) => {
  const tensor = constantValue(node, '')
  return (
    tensor && [
      {
        shape: tensor.dims,
        numbers: elementCount(tensor.dims) <= 256 && tensor.string_data.length === 0 ? tensorNumbers(tensor) : undefined,
      },
    ]
  )
}

const under = (names: string, rule: ShapeRule): Record<string, ShapeRule> =>
  Object.fromEntries(names.split(' ').map((name) => [name, rule]))

/** Operator of the default domain → its shape rule. */
export const rules: Readonly<Record<string, ShapeRule>> = {
  ...under(
    'Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization BitwiseNot Ceil Celu Clip Cos Cosh CumSum Dropout Elu Erf Exp Floor Gelu GroupNormalization ' +
      'HardSigmoid HardSwish Hardmax InstanceNormalization IsInf IsNaN LRN LayerNormalization LeakyRelu Log LogSoftmax LpNormalization Mish Neg Not PRelu ' +
      'QuantizeLinear DequantizeLinear RMSNormalization Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish Tan Tanh ' +
      'ThresholdedRelu Trilu',
    asFirst,
  ),
  ...under(
    'And BitShift BitwiseAnd BitwiseOr BitwiseXor Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Or Pow Sum Where Xor',
    broadcastAll,
  ),
  ...under('GlobalAveragePool GlobalLpPool GlobalMaxPool', globalPool),
  ...under('AveragePool LpPool MaxPool', pool),
  ...under(
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare',
    reduce,
  ),
  ...under('ArgMax ArgMin', argReduce),
  ...under('GRU LSTM RNN', recurrent),
  ...under('Resize Upsample', resize),
  ...under('MatMul MatMulInteger', (_node, [a, b]) => shaped(matMulShape(a?.shape, b?.shape))),
  ...under('Conv ConvInteger', conv),
  ...numberRules,
  Constant: constant,
  ConvTranspose: convTranspose,
  DynamicQuantizeLinear: (_node, [x]) => [x?.shape && { shape: x.shape }, { shape: [] }, { shape: [] }],
  Flatten: flatten,
  Gemm: gemm,
  Pad: pad,
  QLinearConv: (node, inputs, opset) => conv(node, [inputs[0], inputs[3]], opset),
  QLinearMatMul: (_node, inputs) => shaped(matMulShape(inputs[0]?.shape, inputs[3]?.shape)),
  Reshape: reshape,
  Slice: slice,
  Split: split,
  Squeeze: squeeze,
  Transpose: transpose,
  Unsqueeze: unsqueeze,
}
