import type { NodeProto } from '../codec/schema.ts'
import { attributeOf, stringAttribute } from '../graph/attributes.ts'
import { intAttr } from '../graph/build.ts'
import { type GradientRule, refuseGradient, type Tape } from './tape.ts'

/** Whether each element becomes a block of `factor` equal ones, which depends on where the operator looks and how it rounds. */
const makesBlocks = (node: NodeProto, factor: number): boolean => {
  const place = stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel')
  const rounding = stringAttribute(node, 'nearest_mode', 'round_prefer_floor')
  if (place === 'asymmetric') return rounding === 'floor' || (factor === 2 && rounding === 'round_prefer_floor')
  return place.startsWith('half_pixel') && rounding.startsWith('round_prefer')
}

/** Enlarging by whole numbers repeats elements: their gradients are the sums over the blocks they became. */
const resize: GradientRule = (node, [dy], tape: Tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  if (stringAttribute(node, 'mode', 'nearest') !== 'nearest') refuseGradient(node, 'it interpolates')
  if (attributeOf(node, 'axes')) refuseGradient(node, 'it names axes')
  const from = tape.shape(x)
  const factors = tape.shape(node.output[0]!).map((size, axis) => size / from[axis]!)
  const repeats = factors.every((factor) => factor === 1 || (Number.isInteger(factor) && makesBlocks(node, factor)))
  if (!repeats) refuseGradient(node, 'it does not repeat every element as often')
  const blocks = tape.emit('Reshape', [dy, tape.ints(from.flatMap((size, axis) => [size, factors[axis]!]))])
  return [tape.emit('ReduceSum', [blocks, tape.ints(from.map((_, axis) => 2 * axis + 1))], [intAttr('keepdims', 0)])]
}

export const resizeRules: Readonly<Record<string, GradientRule>> = { Resize: resize }
