import { floatAttribute, intAttribute } from '../graph/attributes.ts'
import { intAttr } from '../graph/build.ts'
import { fromStart, product } from '../inspect/shape-arithmetic.ts'
import { type GradientRule, refuseGradient, type Tape, unbroadcast } from './tape.ts'

const times = (tape: Tape, a: string, b: string): string => tape.emit('Mul', [a, b])

/**
 * With x̂ = (x − mean)·inv and g = dy·scale: dx = inv·(g − mean(g) − x̂·mean(g·x̂)). Mean and inv come from the node's own optional
 * outputs. Source: Ba, Kiros and Hinton, Layer Normalization, arXiv 1607.06450.
 */
const layerNormalization: GradientRule = (node, [dy], tape) => {
  const [x, scale, bias] = [node.input[0]!, node.input[1]!, node.input[2]]
  if (!dy) return []
  const shape = tape.shape(x)
  const axis = fromStart(intAttribute(node, 'axis', -1), shape.length)
  const axes = tape.ints(shape.slice(axis).map((_, at) => at + axis))
  const mean_of = (value: string): string =>
    times(tape, tape.emit('ReduceSum', [value, axes]), tape.floats(1 / product(shape.slice(axis))))
  const mean = tape.furtherOutput(node, 1)
  const inverse = tape.furtherOutput(node, 2)
  const normal = times(tape, tape.emit('Sub', [x, mean]), inverse)
  const of_x = (): string => {
    const g = times(tape, dy, scale)
    const centred = tape.emit('Sub', [g, mean_of(g)])
    return times(tape, inverse, tape.emit('Sub', [centred, times(tape, normal, mean_of(times(tape, g, normal)))]))
  }
  return [
    tape.wants(x) ? of_x() : undefined,
    tape.wants(scale) ? unbroadcast(tape, times(tape, dy, normal), shape, tape.shape(scale)) : undefined,
    tape.wants(bias) ? unbroadcast(tape, dy, shape, tape.shape(bias)) : undefined,
  ]
}

/** With stored statistics the node is affine per channel. The form that uses the batch's own statistics is made of primitives before. */
const batchNormalization: GradientRule = (node, [dy], tape) => {
  const [x, scale, bias, mean, variance] = node.input
  if (!dy || !x || !scale || !mean || !variance) return []
  if (intAttribute(node, 'training_mode', 0) === 1) refuseGradient(node, 'it is in training mode; wanted stored statistics')
  if (tape.wants(mean) || tape.wants(variance)) refuseGradient(node, 'its statistics depend on parameters')
  const shape = tape.shape(x)
  const per_channel = [shape[1]!, ...shape.slice(2).map(() => 1)]
  const across = (name: string): string => tape.emit('Reshape', [name, tape.ints(per_channel)])
  const axes = tape.ints(shape.flatMap((_, axis) => (axis === 1 ? [] : [axis])))
  const sum = (value: string): string => tape.emit('ReduceSum', [value, axes], [intAttr('keepdims', 0)])
  const spread = tape.emit('Sqrt', [tape.emit('Add', [variance, tape.floats(floatAttribute(node, 'epsilon', 1e-5))])])
  return [
    tape.wants(x) ? times(tape, dy, across(tape.emit('Div', [scale, spread]))) : undefined,
    tape.wants(scale) ? tape.emit('Div', [sum(times(tape, dy, tape.emit('Sub', [x, across(mean)]))), spread]) : undefined,
    tape.wants(bias) ? sum(dy) : undefined,
  ]
}

export const normalizationRules: Readonly<Record<string, GradientRule>> = {
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
}
