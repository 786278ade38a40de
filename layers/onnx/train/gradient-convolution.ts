import type { NodeProto } from '../codec/schema.ts'
import { intAttribute, intsAttribute, stringAttribute } from '../graph/attributes.ts'
import { intAttr, intsAttr } from '../graph/build.ts'
import { product } from '../inspect/shape-arithmetic.ts'
import { type GradientRule, refuseGradient, type Tape } from './tape.ts'
import { type WindowAxis, windowAttributes, windowAxes } from './windows.ts'

/** Gradient of a bias. */
const channelSums = (tape: Tape, dy: string, shape: readonly number[]): string => {
  const axes = shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]))
  return tape.emit('ReduceSum', [dy, tape.ints(axes)], [intAttr('keepdims', 0)])
}

/** dX is the transposed convolution of dY with the same weights; `output_padding` gives back what no window read. */
const inputGradient = (tape: Tape, dy: string, weights: string, axes: readonly WindowAxis[], group: number): string =>
  tape.emit(
    'ConvTranspose',
    [dy, weights],
    [
      ...windowAttributes(axes, group),
      intsAttr(
        'output_padding',
        axes.map((axis) => Math.max(0, axis.unread)),
      ),
    ],
  )

const swapFirst = (tape: Tape, name: string, rank: number): string => {
  const rest = Array.from({ length: rank - 2 }, (_, axis) => axis + 2)
  return tape.emit('Transpose', [name], [intsAttr('perm', [1, 0, ...rest])])
}

/** [N, g·C, …] as [C, g·N, …]: the batch becomes the channels that a grouped convolution sums over. */
const batchAsChannels = (tape: Tape, x: string, shape: readonly number[], group: number): string => {
  if (group === 1) return swapFirst(tape, x, shape.length)
  const [batch, channels, ...sizes] = [shape[0]!, shape[1]! / group, ...shape.slice(2)]
  const split = tape.emit('Reshape', [x, tape.ints([batch, group, channels, ...sizes])])
  const perm = [2, 1, 0, ...sizes.map((_, axis) => axis + 3)]
  return tape.emit('Reshape', [
    tape.emit('Transpose', [split], [intsAttr('perm', perm)]),
    tape.ints([channels, group * batch, ...sizes]),
  ])
}

interface Sides {
  /** What the convolution reads, by name and shape. */
  input: string
  input_shape: readonly number[]
  /** Gradient of what it makes. */
  upstream: string
}

/**
 * dW as a convolution of X with dY as its kernel, batch and channels swapped, strides and dilations swapped. Where windows leave
 * elements unread the result has further rows, which belong to no weight.
 */
const weightGradient = (tape: Tape, sides: Sides, axes: readonly WindowAxis[], group: number): string => {
  const rank = sides.input_shape.length
  const swapped = tape.emit(
    'Conv',
    [batchAsChannels(tape, sides.input, sides.input_shape, group), swapFirst(tape, sides.upstream, rank)],
    windowAttributes(
      axes.map((axis) => ({ ...axis, stride: axis.dilation, dilation: axis.stride })),
      group,
    ),
  )
  const surplus = axes.some((axis) => axis.unread >= axis.dilation)
  return swapFirst(tape, surplus ? withoutSurplus(tape, swapped, axes) : swapped, rank)
}

const withoutSurplus = (tape: Tape, kernel: string, axes: readonly WindowAxis[]): string =>
  tape.emit('Slice', [
    kernel,
    tape.ints(axes.map(() => 0)),
    tape.ints(axes.map((axis) => axis.kernel)),
    tape.ints(axes.map((_, axis) => axis + 2)),
  ])

/** A 1×1 convolution is a matrix product per image; one over all pixels is much faster than the general form. */
const pointwiseWeightGradient = (tape: Tape, dy: string, node: NodeProto): string => {
  const flat = (name: string, shape: readonly number[]): string =>
    tape.emit('Reshape', [name, tape.ints([shape[0]!, shape[1]!, product(shape.slice(2))])])
  const x = flat(node.input[0]!, tape.shape(node.input[0]!))
  const up = flat(dy, tape.shape(node.output[0]!))
  const each = tape.emit('MatMul', [up, tape.emit('Transpose', [x], [intsAttr('perm', [0, 2, 1])])])
  const weights = tape.shape(node.input[1]!)
  return tape.emit('Reshape', [tape.emit('ReduceSum', [each, tape.ints([0])]), tape.ints(weights)])
}

const isPointwise = (axes: readonly WindowAxis[], group: number): boolean =>
  group === 1 && axes.every((axis) => axis.kernel === 1 && axis.stride === 1 && axis.pad_begin === 0 && axis.unread === 0)

/** Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv 1603.07285, §4. */
const conv: GradientRule = (node, [dy], tape) => {
  const [x, weights, bias] = node.input
  if (!dy || x === undefined || weights === undefined) return []
  const y_shape = tape.shape(node.output[0]!)
  const group = intAttribute(node, 'group', 1)
  const axes = windowAxes(node, tape.shape(weights).slice(2), tape.shape(x), y_shape)
  const of_weights = (): string =>
    isPointwise(axes, group)
      ? pointwiseWeightGradient(tape, dy, node)
      : weightGradient(tape, { input: x, input_shape: tape.shape(x), upstream: dy }, axes, group)
  return [
    tape.wants(x) ? inputGradient(tape, dy, weights, axes, group) : undefined,
    tape.wants(weights) ? of_weights() : undefined,
    tape.wants(bias) ? channelSums(tape, dy, y_shape) : undefined,
  ]
}

/** The adjoint of a convolution: its input's gradient is that convolution, and its weights' the one with both sides exchanged. */
const convTranspose: GradientRule = (node, [dy], tape) => {
  const [x, weights, bias] = node.input
  if (!dy || x === undefined || weights === undefined) return []
  if (stringAttribute(node, 'auto_pad', 'NOTSET') !== 'NOTSET' || intsAttribute(node, 'output_shape'))
    return refuseGradient(node, 'its padding follows from an output shape')
  const y_shape = tape.shape(node.output[0]!)
  const group = intAttribute(node, 'group', 1)
  const axes = windowAxes(node, tape.shape(weights).slice(2), y_shape, tape.shape(x))
  return [
    tape.wants(x) ? tape.emit('Conv', [dy, weights], windowAttributes(axes, group)) : undefined,
    tape.wants(weights) ? weightGradient(tape, { input: dy, input_shape: y_shape, upstream: x }, axes, group) : undefined,
    tape.wants(bias) ? channelSums(tape, dy, y_shape) : undefined,
  ]
}

export const convolutionRules: Readonly<Record<string, GradientRule>> = { Conv: conv, ConvTranspose: convTranspose }
