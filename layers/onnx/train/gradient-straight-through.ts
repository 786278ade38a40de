import { DataType } from '../codec/data-types.ts'
import type { NodeProto } from '../codec/schema.ts'
import { intAttribute } from '../graph/attributes.ts'
import { intAttr } from '../graph/build.ts'
import { type GradientRule, refuseGradient, type Tape } from './tape.ts'

/**
 * Quantization in the forward part is a staircase, whose true derivative is 0. The straight-through estimator takes that of the line
 * it approximates: what arrives passes where the value was within range and stops where it was cut off. Gradients of the integer
 * value between Quantize and Dequantize are in units of the real one.
 * Source: Bengio, Léonard and Courville, arXiv 1308.3432; Jacob et al., arXiv 1712.05877.
 */
const dequantize: GradientRule = (_node, [dy]) => [dy]

const dynamicQuantize: GradientRule = (_node, [dy]) => [dy]

/** Smallest and largest level by the type of the zero point; without one it is UINT8. */
const levels = (node: NodeProto, tape: Tape): readonly [number, number] => {
  const zero = node.input[2]
  const data_type = zero ? tape.dataType(zero) : DataType.UINT8
  if (data_type === DataType.UINT8) return [0, 255]
  return data_type === DataType.INT8 ? [-128, 127] : refuseGradient(node, 'its zero point is no stored INT8 or UINT8')
}

/** A per-channel parameter as it broadcasts against the value. */
const perChannel = (tape: Tape, node: NodeProto, name: string): string => {
  const shape = tape.shape(node.input[0]!)
  const dims = tape.shape(name)
  if (dims.length !== 1 || dims[0] === 1) return name
  const axis = intAttribute(node, 'axis', 1)
  const at = axis < 0 ? axis + shape.length : axis
  return tape.emit('Reshape', [name, tape.ints(shape.map((size, each) => (each === at ? size : 1)))])
}

/** A value is within range when the level it rounds to exists. */
const quantize: GradientRule = (node, [dy], tape) => {
  const [x, scale, zero] = node.input
  if (!dy || !tape.wants(x) || scale === undefined) return []
  const [low, high] = levels(node, tape)
  const quotient = tape.emit('Div', [x, perChannel(tape, node, scale)])
  const to_float = [intAttr('to', DataType.FLOAT)]
  const level = zero ? tape.emit('Add', [quotient, tape.emit('Cast', [perChannel(tape, node, zero)], to_float)]) : quotient
  const inside = tape.emit('And', [
    tape.emit('GreaterOrEqual', [level, tape.floats(low - 0.5)]),
    tape.emit('LessOrEqual', [level, tape.floats(high + 0.5)]),
  ])
  return [tape.emit('Where', [inside, dy, tape.floats(0)])]
}

export const straightThroughRules: Readonly<Record<string, GradientRule>> = {
  DequantizeLinear: dequantize,
  DynamicQuantizeLinear: dynamicQuantize,
  QuantizeLinear: quantize,
}
