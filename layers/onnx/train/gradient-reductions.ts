import type { NodeProto } from '../codec/schema.ts'
import { intAttribute, intsAttribute } from '../graph/attributes.ts'
import { fromStart, product } from '../inspect/shape-arithmetic.ts'
import { type GradientRule, refuseGradient, type Tape } from './tape.ts'

/** Axes of a reduction, an attribute or a constant input; all when none is named, none where the node says so. */
const reducedAxes = (node: NodeProto, tape: Tape): number[] => {
  const rank = tape.shape(node.input[0]!).length
  const given = intsAttribute(node, 'axes') ?? (node.input[1] ? tape.numbers(node.input[1]) : [])
  if (!given) return refuseGradient(node, 'its axes are computed')
  if (given.length > 0) return given.map((axis) => fromStart(axis, rank))
  return intAttribute(node, 'noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis)
}

/** A reduced value with its axes back, as size 1. */
const keptAxes = (tape: Tape, node: NodeProto, value: string, axes: readonly number[]): string => {
  if (intAttribute(node, 'keepdims', 1) === 1) return value
  const shape = tape.shape(node.input[0]!).map((size, axis) => (axes.includes(axis) ? 1 : size))
  return tape.emit('Reshape', [value, tape.ints(shape)])
}

/** Repeats a value along axes of size 1 until it has the shape of `like`. */
export const spread = (tape: Tape, value: string, like: string): string =>
  tape.emit('Expand', [value, tape.ints(tape.shape(like))])

const reduceSum: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  return [dy && tape.wants(x) ? spread(tape, keptAxes(tape, node, dy, reducedAxes(node, tape)), x) : undefined]
}

const reduceMean: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  const axes = reducedAxes(node, tape)
  const count = product(axes.map((axis) => tape.shape(x)[axis]!))
  const share = tape.emit('Mul', [keptAxes(tape, node, dy, axes), tape.floats(1 / count)])
  return [spread(tape, share, x)]
}

/** Equal extremes share the gradient. */
export const sharedByWinners = (tape: Tape, dy: string, x: string, y: string, axes: readonly number[]): string => {
  const winners = tape.emit('Where', [tape.emit('Equal', [x, y]), tape.floats(1), tape.floats(0)])
  const count = tape.emit('ReduceSum', [winners, tape.ints(axes)])
  return tape.emit('Mul', [winners, tape.emit('Div', [dy, count])])
}

const reduceExtreme: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  const axes = reducedAxes(node, tape)
  if (axes.length === 0) return [dy]
  return [sharedByWinners(tape, keptAxes(tape, node, dy, axes), x, keptAxes(tape, node, node.output[0]!, axes), axes)]
}

const reduceSumSquare: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  return [tape.emit('Mul', [tape.emit('Add', [x, x]), keptAxes(tape, node, dy, reducedAxes(node, tape))])]
}

/** The length's slope is the direction: x ÷ |x|. */
const reduceL2: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  const axes = reducedAxes(node, tape)
  const each = tape.emit('Div', [keptAxes(tape, node, dy, axes), keptAxes(tape, node, node.output[0]!, axes)])
  return [tape.emit('Mul', [x, each])]
}

/** Every element's share of the sum: e^(x − y). */
const reduceLogSumExp: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  const axes = reducedAxes(node, tape)
  const share = tape.emit('Exp', [tape.emit('Sub', [x, keptAxes(tape, node, node.output[0]!, axes)])])
  return [tape.emit('Mul', [share, keptAxes(tape, node, dy, axes)])]
}

export const reductionRules: Readonly<Record<string, GradientRule>> = {
  ReduceSum: reduceSum,
  ReduceMean: reduceMean,
  ReduceMax: reduceExtreme,
  ReduceMin: reduceExtreme,
  ReduceSumSquare: reduceSumSquare,
  ReduceL2: reduceL2,
  ReduceLogSumExp: reduceLogSumExp,
}
