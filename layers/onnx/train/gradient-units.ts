import { floatAttribute } from '../graph/attributes.ts'
import { unary } from './gradient-arithmetic.ts'
import type { GradientRule, Tape } from './tape.ts'

/** Derivatives of the less common activation functions. */

const times = (tape: Tape, a: string, b: string): string => tape.emit('Mul', [a, b])
const positive = (tape: Tape, x: string): string => tape.emit('Greater', [x, tape.floats(0)])

/** max(0, x) + min(0, α(eˣᐟᵅ − 1)). Source: Barron, arXiv 1704.07483. */
const celu: GradientRule = unary((dy, x, _y, tape, node) => {
  const slope = tape.emit('Exp', [times(tape, x, tape.floats(1 / floatAttribute(node, 'alpha', 1)))])
  return tape.emit('Where', [positive(tape, x), dy, times(tape, dy, slope)])
})

const SELU_ALPHA = 1.673_263_192_176_818_8
const SELU_GAMMA = 1.050_701_022_148_132_3

/** γ·x above 0, γ(α·eˣ − α) below, whose slope is y + γα. Source: Klambauer et al., arXiv 1706.02515. */
const selu: GradientRule = unary((dy, x, y, tape, node) => {
  const gamma = floatAttribute(node, 'gamma', SELU_GAMMA)
  const below = tape.emit('Add', [y, tape.floats(gamma * floatAttribute(node, 'alpha', SELU_ALPHA))])
  return times(tape, dy, tape.emit('Where', [positive(tape, x), tape.floats(gamma), below]))
})

/** x·t with t = tanh(softplus x): t + x·(1 − t²)·σ(x). Source: Misra, arXiv 1908.08681. */
const mish: GradientRule = unary((dy, x, _y, tape) => {
  const t = tape.emit('Tanh', [tape.emit('Softplus', [x])])
  const flatness = tape.emit('Sub', [tape.floats(1), times(tape, t, t)])
  const bend = times(tape, x, times(tape, flatness, tape.emit('Sigmoid', [x])))
  return times(tape, dy, tape.emit('Add', [t, bend]))
})

const thresholdedRelu: GradientRule = unary((dy, x, _y, tape, node) => {
  const passes = tape.emit('Greater', [x, tape.floats(floatAttribute(node, 'alpha', 1))])
  return tape.emit('Where', [passes, dy, tape.floats(0)])
})

export const unitRules: Readonly<Record<string, GradientRule>> = {
  Celu: celu,
  Selu: selu,
  Mish: mish,
  ThresholdedRelu: thresholdedRelu,
}
