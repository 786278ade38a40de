import { floatAttribute, intAttribute, stringAttribute } from '../graph/attributes.ts'
import { unary } from './gradient-arithmetic.ts'
import { type GradientRule, type Tape, unbroadcast } from './tape.ts'

/** Derivatives of activation functions. At a kink the gradient is that of one side, as everywhere. */

const zero = (tape: Tape): string => tape.floats(0)
const one = (tape: Tape): string => tape.floats(1)
const times = (tape: Tape, a: string, b: string): string => tape.emit('Mul', [a, b])

/** `dy` where the condition holds, else 0. */
const gated = (tape: Tape, condition: string, dy: string): string => tape.emit('Where', [condition, dy, zero(tape)])

/** Inside the limits output and input are equal; outside nothing flows. Works for both forms of Clip. */
const clip: GradientRule = unary((dy, x, y, tape) => gated(tape, tape.emit('Equal', [x, y]), dy))

const leakyRelu: GradientRule = unary((dy, x, _y, tape, node) => {
  const leaked = times(tape, dy, tape.floats(floatAttribute(node, 'alpha', 0.01)))
  return tape.emit('Where', [tape.emit('Greater', [x, zero(tape)]), dy, leaked])
})

const prelu: GradientRule = (node, [dy], tape) => {
  const [x, slope] = [node.input[0]!, node.input[1]!]
  if (!dy) return []
  const positive = tape.emit('Greater', [x, zero(tape)])
  const of_slope = (): string => {
    const each = tape.emit('Where', [positive, zero(tape), times(tape, dy, x)])
    return unbroadcast(tape, each, tape.shape(x), tape.shape(slope))
  }
  return [
    tape.wants(x) ? tape.emit('Where', [positive, dy, times(tape, dy, slope)]) : undefined,
    tape.wants(slope) ? of_slope() : undefined,
  ]
}

const sigmoid: GradientRule = unary((dy, _x, y, tape) => times(tape, dy, times(tape, y, tape.emit('Sub', [one(tape), y]))))

const tanh: GradientRule = unary((dy, _x, y, tape) => times(tape, dy, tape.emit('Sub', [one(tape), times(tape, y, y)])))

const gauss = (tape: Tape, x: string, exponent: number, factor: number): string =>
  times(tape, tape.emit('Exp', [times(tape, times(tape, x, x), tape.floats(exponent))]), tape.floats(factor))

const erf: GradientRule = unary((dy, x, _y, tape) => times(tape, dy, gauss(tape, x, -1, 2 / Math.sqrt(Math.PI))))

/** Φ(x) + x·φ(x); the tanh form by its own formula, since the two differ by up to 5e-4. Source: Hendrycks and Gimpel, arXiv 1606.08415. */
const gelu: GradientRule = unary((dy, x, _y, tape, node) => {
  if (stringAttribute(node, 'approximate', 'none') === 'tanh') return times(tape, dy, tanhGeluSlope(tape, x))
  const share = tape.emit('Erf', [times(tape, x, tape.floats(Math.SQRT1_2))])
  const below = times(tape, tape.emit('Add', [share, one(tape)]), tape.floats(0.5))
  const density = gauss(tape, x, -0.5, 1 / Math.sqrt(2 * Math.PI))
  return times(tape, dy, tape.emit('Add', [below, times(tape, x, density)]))
})

const GELU_CUBIC = 0.044715

const tanhGeluSlope = (tape: Tape, x: string): string => {
  const factor = Math.sqrt(2 / Math.PI)
  const square = times(tape, x, x)
  const curve = (cubic: number): string =>
    tape.emit('Add', [times(tape, square, tape.floats(factor * cubic)), tape.floats(factor)])
  const t = tape.emit('Tanh', [times(tape, x, curve(GELU_CUBIC))])
  const steep = times(tape, tape.emit('Sub', [one(tape), times(tape, t, t)]), curve(3 * GELU_CUBIC))
  const sum = tape.emit('Add', [tape.emit('Add', [t, one(tape)]), times(tape, x, steep)])
  return times(tape, sum, tape.floats(0.5))
}

/** Whether y lies strictly between 0 and 1, where hard functions are not yet flat. */
const strictlyInside = (tape: Tape, y: string): string =>
  tape.emit('And', [tape.emit('Greater', [y, zero(tape)]), tape.emit('Less', [y, one(tape)])])

const hardSigmoid: GradientRule = unary((dy, _x, y, tape, node) =>
  gated(tape, strictlyInside(tape, y), times(tape, dy, tape.floats(floatAttribute(node, 'alpha', 0.2)))),
)

/** y = x·h(x) with h = clip(x/6 + 1/2, 0, 1). */
const hardSwish: GradientRule = unary((dy, x, _y, tape) => {
  const sixth = times(tape, x, tape.floats(1 / 6))
  const gate = tape.emit('Clip', [tape.emit('Add', [sixth, tape.floats(0.5)]), zero(tape), one(tape)])
  return times(tape, dy, tape.emit('Add', [gate, gated(tape, strictlyInside(tape, gate), sixth)]))
})

const elu: GradientRule = unary((dy, x, y, tape, node) => {
  const below = times(tape, dy, tape.emit('Add', [y, tape.floats(floatAttribute(node, 'alpha', 1))]))
  return tape.emit('Where', [tape.emit('Greater', [x, zero(tape)]), dy, below])
})

const softsign: GradientRule = unary((dy, x, _y, tape) => {
  const base = tape.emit('Add', [tape.emit('Abs', [x]), one(tape)])
  return tape.emit('Div', [dy, times(tape, base, base)])
})

const sumAlong = (tape: Tape, value: string, axis: number): string => tape.emit('ReduceSum', [value, tape.ints([axis])])

const softmax: GradientRule = unary((dy, _x, y, tape, node) => {
  const mean = sumAlong(tape, times(tape, dy, y), intAttribute(node, 'axis', -1))
  return times(tape, y, tape.emit('Sub', [dy, mean]))
})

const logSoftmax: GradientRule = unary((dy, _x, y, tape, node) => {
  const total = sumAlong(tape, dy, intAttribute(node, 'axis', -1))
  return tape.emit('Sub', [dy, times(tape, tape.emit('Exp', [y]), total)])
})

export const activationRules: Readonly<Record<string, GradientRule>> = {
  Relu: unary((dy, _x, y, tape) => gated(tape, tape.emit('Greater', [y, zero(tape)]), dy)),
  LeakyRelu: leakyRelu,
  PRelu: prelu,
  Clip: clip,
  Sigmoid: sigmoid,
  Tanh: tanh,
  Erf: erf,
  Gelu: gelu,
  HardSigmoid: hardSigmoid,
  HardSwish: hardSwish,
  Elu: elu,
  Softplus: unary((dy, x, _y, tape) => times(tape, dy, tape.emit('Sigmoid', [x]))),
  Softsign: softsign,
  Softmax: softmax,
  LogSoftmax: logSoftmax,
}
