import { intAttribute, intsAttribute } from '../graph/attributes.ts'
import { intAttr, intsAttr, stringAttr } from '../graph/build.ts'
import { product } from '../inspect/shape-arithmetic.ts'
import { sharedByWinners, spread } from './gradient-reductions.ts'
import { type GradientRule, refuseGradient, type Tape } from './tape.ts'
import { type WindowAxis, windowAttributes, windowAxes } from './windows.ts'

/** The node tells which element won (its second output); the gradient is added to those, since windows may overlap. */
const maxPool: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  if (intAttribute(node, 'storage_order', 0) !== 0) refuseGradient(node, 'its storage order is by columns')
  const indices = tape.furtherOutput(node, 1)
  const all = tape.ints([product(tape.shape(x))])
  const flat = tape.ints([product(tape.shape(node.output[0]!))])
  const added = tape.emit(
    'ScatterElements',
    [tape.emit('ConstantOfShape', [all]), tape.emit('Reshape', [indices, flat]), tape.emit('Reshape', [dy, flat])],
    [intAttr('axis', 0), stringAttr('reduction', 'add')],
  )
  return [tape.emit('Reshape', [added, tape.ints(tape.shape(x))])]
}

/** How many elements the window at `at` averages: padding counts when the node says so, what lies behind it never. */
const windowCount = (axis: WindowAxis, at: number, pad_end: number | undefined): number => {
  let count = 0
  for (let tap = 0; tap < axis.kernel; tap++) {
    const place = at * axis.stride + tap * axis.dilation - axis.pad_begin
    if (pad_end === undefined ? place >= 0 && place < axis.size : place < axis.size + pad_end) count++
  }
  return count
}

/** 1 ÷ elements averaged, for every place of the output: [1, 1, …sizes]. */
const windowShares = (tape: Tape, axes: readonly WindowAxis[], pad_ends: readonly (number | undefined)[]): string => {
  let shares = [1]
  for (const [at, axis] of axes.entries()) {
    const counts = Array.from({ length: axis.out }, (_, place) => windowCount(axis, place, pad_ends[at]))
    shares = shares.flatMap((share) => counts.map((count) => share / count))
  }
  return tape.floats(Float32Array.from(shares), [1, 1, ...axes.map((axis) => axis.out)])
}

/** Every element of a window gets the same share: a transposed convolution of each channel with ones. */
const averagePool: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  const shape = tape.shape(x)
  const axes = windowAxes(node, intsAttribute(node, 'kernel_shape') ?? [], shape, tape.shape(node.output[0]!))
  const counts_pads = intAttribute(node, 'count_include_pad', 0) === 1
  const pads = intsAttribute(node, 'pads')
  const pad_ends = axes.map((axis, at) => (counts_pads ? (pads?.[at + axes.length] ?? Math.max(0, -axis.unread)) : undefined))
  const shared = tape.emit('Mul', [dy, windowShares(tape, axes, pad_ends)])
  const kernel = axes.map((axis) => axis.kernel)
  const channels = shape[1]!
  const ones = tape.floats(new Float32Array(channels * product(kernel)).fill(1), [channels, 1, ...kernel])
  return [
    tape.emit(
      'ConvTranspose',
      [shared, ones],
      [
        ...windowAttributes(axes, channels),
        intsAttr(
          'output_padding',
          axes.map((axis) => Math.max(0, axis.unread)),
        ),
      ],
    ),
  ]
}

const globalAveragePool: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  return [spread(tape, tape.emit('Mul', [dy, tape.floats(1 / product(tape.shape(x).slice(2)))]), x)]
}

const globalMaxPool: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  const axes = tape
    .shape(x)
    .slice(2)
    .map((_, axis) => axis + 2)
  return [sharedByWinners(tape, dy, x, node.output[0]!, axes)]
}

export const poolRules: Readonly<Record<string, GradientRule>> = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
}
