import type { NodeProto } from '../codec/schema.ts'
import { intAttribute, intsAttribute, stringAttribute } from '../graph/attributes.ts'
import { intAttr, intsAttr, stringAttr } from '../graph/build.ts'
import { fromStart, product } from '../inspect/shape-arithmetic.ts'
import { type GradientRule, refuseGradient, type Tape, unbroadcast } from './tape.ts'

/** Operators that only move elements: their gradients move them back, and add up where one was read several times. */

const sameElements: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]
  return [dy && tape.wants(x) ? tape.emit('Reshape', [dy, tape.ints(tape.shape(x))]) : undefined]
}

const identity: GradientRule = (_node, [dy]) => [dy]

const transpose: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  const order = intsAttribute(node, 'perm') ?? tape.shape(x).map((_, axis, all) => all.length - 1 - axis)
  return [
    tape.emit(
      'Transpose',
      [dy],
      [
        intsAttr(
          'perm',
          order.map((_, axis) => order.indexOf(axis)),
        ),
      ],
    ),
  ]
}

const concat: GradientRule = (node, [dy], tape) => {
  if (!dy || node.input.length === 1) return [dy]
  const axis = fromStart(intAttribute(node, 'axis', 1), tape.shape(node.output[0]!).length)
  const sizes = node.input.map((name) => tape.shape(name)[axis]!)
  return tape.emitAll('Split', [dy, tape.ints(sizes)], sizes.length, [intAttr('axis', axis)])
}

const zeros = (tape: Tape, shape: readonly number[]): string => tape.emit('ConstantOfShape', [tape.ints(shape)])

const split: GradientRule = (node, upstream, tape) => {
  const parts = node.output.map((name, at) => upstream[at] ?? zeros(tape, tape.shape(name)))
  return [tape.emit('Concat', parts, [intAttr('axis', intAttribute(node, 'axis', 0))])]
}

/** Cuts away what was padded, and puts back zeros where a negative pad had cut. */
const pad: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  if (stringAttribute(node, 'mode', 'constant') !== 'constant') refuseGradient(node, 'its mode is not constant')
  const pads = tape.numbers(node.input[1])
  if (!pads || node.input[3]) return refuseGradient(node, 'its pads are computed or given per axis')
  return [tape.emit('Pad', [dy, tape.ints(pads.map((count) => -count))])]
}

interface Cut {
  axis: number
  start: number
  step: number
}

const cutsOf = (node: NodeProto, tape: Tape, shape: readonly number[]): Cut[] => {
  const [starts, ends] = [tape.numbers(node.input[1]), tape.numbers(node.input[2])]
  const axes = node.input[3] ? tape.numbers(node.input[3]) : starts?.map((_, axis) => axis)
  const steps = node.input[4] ? tape.numbers(node.input[4]) : starts?.map(() => 1)
  if (!starts || !ends || !axes || !steps) return refuseGradient(node, 'its bounds are computed')
  return axes.map((given, at) => {
    const axis = fromStart(given, shape.length)
    const size = shape[axis]!
    const step = steps[at]!
    const start = Math.min(Math.max(fromStart(starts[at]!, size), 0), step > 0 ? size : size - 1)
    return { axis, start, step }
  })
}

/** Zeros around what a slice took; strided slices are scattered to where they came from. */
const slice: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  const full = tape.shape(x)
  const shape = [...tape.shape(node.output[0]!)]
  let back = dy
  for (const { axis, start, step } of cutsOf(node, tape, full)) {
    const taken = shape[axis]!
    if (step === 1 && taken === full[axis]) continue
    shape[axis] = full[axis]!
    if (step === 1) {
      const pads = shape.flatMap(() => [0, 0])
      pads[axis] = start
      pads[axis + shape.length] = full[axis]! - start - taken
      back = tape.emit('Pad', [back, tape.ints(pads)])
    } else {
      const rows = tape.ints(Array.from({ length: taken }, (_, at) => start + at * step))
      back = scattered(tape, back, rows, { axis, taken, into: shape })
    }
  }
  return [back]
}

/** Rows of `gradient` along an axis added into zeros of shape `into` at the given indices. */
const scattered = (
  tape: Tape,
  gradient: string,
  indices: string,
  { axis, taken, into }: { axis: number; taken: number; into: readonly number[] },
): string => {
  const along = into.map((_, at) => (at === axis ? taken : 1))
  const column = tape.emit('Reshape', [indices, tape.ints(along)])
  const everywhere = tape.emit('Expand', [column, tape.ints(into.with(axis, taken))])
  return tape.emit(
    'ScatterElements',
    [zeros(tape, into), everywhere, gradient],
    [intAttr('axis', axis), stringAttr('reduction', 'add')],
  )
}

const gather: GradientRule = (node, [dy], tape) => {
  const [data, indices] = [node.input[0]!, node.input[1]!]
  if (!dy || !tape.wants(data)) return []
  const into = tape.shape(data)
  const axis = fromStart(intAttribute(node, 'axis', 0), into.length)
  const taken = product(tape.shape(indices))
  const rows = tape.emit('Reshape', [dy, tape.ints(into.with(axis, taken))])
  return [scattered(tape, rows, indices, { axis, taken, into })]
}

const expand: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]
  return [dy && tape.wants(x) ? unbroadcast(tape, dy, tape.shape(node.output[0]!), tape.shape(x)) : undefined]
}

export const shapeRules: Readonly<Record<string, GradientRule>> = {
  Reshape: sameElements,
  Flatten: sameElements,
  Squeeze: sameElements,
  Unsqueeze: sameElements,
  Identity: identity,
  Dropout: (node, [dy], tape) => (tape.numbers(node.input[2])?.[0] ? refuseGradient(node, 'it is in training mode') : [dy]),
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Gather: gather,
  Expand: expand,
}
