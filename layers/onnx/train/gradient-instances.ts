import { floatAttribute, intAttribute } from '../graph/attributes.ts'
import { fromStart, product } from '../inspect/shape-arithmetic.ts'
import { type GradientRule, refuseGradient, type Tape } from './tape.ts'

/** Normalisations whose statistics are of one sample, over its places or groups of its channels. */

const times = (tape: Tape, a: string, b: string): string => tape.emit('Mul', [a, b])

interface Normal {
  /** [samples, groups, everything else], so that one axis is normalised. */
  grouped: readonly number[]
  epsilon: number
  scale: string
  bias: string | undefined
}

const meanAlong = (tape: Tape, value: string, count: number): string =>
  times(tape, tape.emit('ReduceSum', [value, tape.ints([2])]), tape.floats(1 / count))

/** With x̂ = (x − mean)·inv and g = dy·scale: dx = inv·(g − mean(g) − x̂·mean(g·x̂)), as for layers, statistics computed anew. */
const normalised = (tape: Tape, x: string, dy: string, normal: Normal): (string | undefined)[] => {
  const { grouped, epsilon, scale, bias } = normal
  const shape = tape.shape(x)
  const count = grouped[2]!
  const regrouped = (value: string): string => tape.emit('Reshape', [value, tape.ints(grouped)])
  const back = (value: string): string => tape.emit('Reshape', [value, tape.ints(shape)])
  const centred = tape.emit('Sub', [regrouped(x), meanAlong(tape, regrouped(x), count)])
  const variance = meanAlong(tape, times(tape, centred, centred), count)
  const inverse = tape.emit('Reciprocal', [tape.emit('Sqrt', [tape.emit('Add', [variance, tape.floats(epsilon)])])])
  const unit = times(tape, centred, inverse)
  const per_channel = tape.ints([shape[1]!, ...shape.slice(2).map(() => 1)])
  const channel_axes = tape.ints(shape.flatMap((_, axis) => (axis === 1 ? [] : [axis])))
  const summed = (value: string, like: string): string =>
    tape.emit('Reshape', [tape.emit('ReduceSum', [value, channel_axes]), tape.ints(tape.shape(like))])
  const of_x = (): string => {
    const g = regrouped(times(tape, dy, tape.emit('Reshape', [scale, per_channel])))
    const along = times(tape, unit, meanAlong(tape, times(tape, g, unit), count))
    return back(times(tape, inverse, tape.emit('Sub', [tape.emit('Sub', [g, meanAlong(tape, g, count)]), along])))
  }
  return [
    tape.wants(x) ? of_x() : undefined,
    tape.wants(scale) ? summed(times(tape, dy, back(unit)), scale) : undefined,
    tape.wants(bias) ? summed(dy, bias) : undefined,
  ]
}

/** Source: Ulyanov et al., arXiv 1607.08022. */
const instanceNormalization: GradientRule = (node, [dy], tape) => {
  const [x, scale, bias] = node.input
  if (!dy || !x || !scale) return []
  const shape = tape.shape(x)
  const grouped = [shape[0]!, shape[1]!, product(shape.slice(2))]
  return normalised(tape, x, dy, { grouped, epsilon: floatAttribute(node, 'epsilon', 1e-5), scale, bias })
}

/** Since opset 21 scale and bias are per channel; before, per group. Source: Wu and He, arXiv 1803.08494. */
const groupNormalization: GradientRule = (node, [dy], tape) => {
  const [x, scale, bias] = node.input
  if (!dy || !x || !scale) return []
  const shape = tape.shape(x)
  const groups = intAttribute(node, 'num_groups', 1)
  if (product(tape.shape(scale)) !== shape[1]) return refuseGradient(node, 'its scale is per group; wanted one per channel')
  const grouped = [shape[0]!, groups, product(shape.slice(1)) / groups]
  return normalised(tape, x, dy, { grouped, epsilon: floatAttribute(node, 'epsilon', 1e-5), scale, bias })
}

/** y = x ÷ |x|: (dy − y·Σ dy·y) ÷ |x|. */
const lpNormalization: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  const y = node.output[0]!
  if (!dy || !tape.wants(x)) return []
  if (intAttribute(node, 'p', 2) !== 2) return refuseGradient(node, 'its norm is not the second')
  const axes = tape.ints([fromStart(intAttribute(node, 'axis', -1), tape.shape(x).length)])
  const length = tape.emit('Sqrt', [tape.emit('ReduceSum', [times(tape, x, x), axes])])
  const along = times(tape, y, tape.emit('ReduceSum', [times(tape, dy, y), axes]))
  return [tape.emit('Div', [tape.emit('Sub', [dy, along]), length])]
}

export const instanceRules: Readonly<Record<string, GradientRule>> = {
  InstanceNormalization: instanceNormalization,
  GroupNormalization: groupNormalization,
  LpNormalization: lpNormalization,
}
