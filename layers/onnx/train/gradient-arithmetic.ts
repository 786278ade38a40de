import type { NodeProto } from '../codec/schema.ts'
import { intAttribute } from '../graph/attributes.ts'
import { type GradientRule, refuseGradient, type Tape, unbroadcast } from './tape.ts'

/** Derivatives of elementwise arithmetic: dy is the output's gradient, y the output, a and b the inputs. */

/** A rule for one operand of a broadcasting operator: its gradient before it is summed down to the operand's shape. */
type Operand = (dy: string, node: NodeProto, tape: Tape) => string

const broadcasting =
  (...operands: Operand[]): GradientRule =>
  (node, [dy], tape) =>
    operands.map((operand, at) => {
      const name = node.input[at]
      if (!dy || !tape.wants(name)) return undefined
      return unbroadcast(tape, operand(dy, node, tape), tape.shape(node.output[0]!), tape.shape(name))
    })

/** A rule for operators of one input: `slope` answers dy times the derivative. */
export const unary =
  (slope: (dy: string, x: string, y: string, tape: Tape, node: NodeProto) => string): GradientRule =>
  (node, [dy], tape) => [dy && tape.wants(node.input[0]) ? slope(dy, node.input[0], node.output[0]!, tape, node) : undefined]

const same: Operand = (dy) => dy
const negated: Operand = (dy, _node, tape) => tape.emit('Neg', [dy])

const powBase: Operand = (dy, node, tape) => {
  const [a, b] = [node.input[0]!, node.input[1]!]
  const exponents = tape.numbers(b)
  if (exponents?.length === 1 && exponents[0] === 2) return tape.emit('Mul', [dy, tape.emit('Add', [a, a])])
  if (exponents?.length === 1) {
    const power = tape.emit('Pow', [a, tape.floats(exponents[0]! - 1)])
    return tape.emit('Mul', [dy, tape.emit('Mul', [power, tape.floats(exponents[0]!)])])
  }
  const power = tape.emit('Pow', [a, tape.emit('Sub', [b, tape.floats(1)])])
  return tape.emit('Mul', [dy, tape.emit('Mul', [b, power])])
}

/** Of two operands the chosen one gets the gradient; equal ones leave it to the first. */
const choosing = (first_wins: string, second_wins: string): GradientRule => {
  const pick =
    (comparison: string): Operand =>
    (dy, node, tape) =>
      tape.emit('Where', [tape.emit(comparison, [node.input[0]!, node.input[1]!]), dy, tape.floats(0)])
  const rule = broadcasting(pick(first_wins), pick(second_wins))
  return (node, upstream, tape) => {
    if (node.input.length === 1) return [...upstream]
    return node.input.length === 2 ? rule(node, upstream, tape) : refuseGradient(node, 'it has more than two inputs')
  }
}

const sum: GradientRule = (node, [dy], tape) =>
  node.input.map((name) =>
    dy && tape.wants(name) ? unbroadcast(tape, dy, tape.shape(node.output[0]!), tape.shape(name)) : undefined,
  )

const mean: GradientRule = (node, [dy], tape) =>
  dy ? sum(node, [tape.emit('Mul', [dy, tape.floats(1 / node.input.length)])], tape) : []

const where: GradientRule = (node, [dy], tape) => {
  const side = (name: string | undefined, inputs: (zero: string) => string[]): string | undefined => {
    if (!dy || !tape.wants(name)) return undefined
    return unbroadcast(tape, tape.emit('Where', inputs(tape.floats(0))), tape.shape(node.output[0]!), tape.shape(name))
  }
  const condition = node.input[0]!
  return [undefined, side(node.input[1], (zero) => [condition, dy!, zero]), side(node.input[2], (zero) => [condition, zero, dy!])]
}

const FLOAT = 1

const cast: GradientRule = (node, [dy], tape) => {
  if (dy && tape.wants(node.input[0]) && intAttribute(node, 'to', FLOAT) !== FLOAT) refuseGradient(node, 'it leaves float32')
  return [dy]
}

export const arithmeticRules: Readonly<Record<string, GradientRule>> = {
  Add: broadcasting(same, same),
  Sub: broadcasting(same, negated),
  Mul: broadcasting(
    (dy, node, tape) => tape.emit('Mul', [dy, node.input[1]!]),
    (dy, node, tape) => tape.emit('Mul', [dy, node.input[0]!]),
  ),
  Div: broadcasting(
    (dy, node, tape) => tape.emit('Div', [dy, node.input[1]!]),
    (dy, node, tape) => tape.emit('Neg', [tape.emit('Mul', [dy, tape.emit('Div', [node.output[0]!, node.input[1]!])])]),
  ),
  Pow: broadcasting(powBase, (dy, node, tape) =>
    tape.emit('Mul', [dy, tape.emit('Mul', [node.output[0]!, tape.emit('Log', [node.input[0]!])])]),
  ),
  Max: choosing('GreaterOrEqual', 'Less'),
  Min: choosing('LessOrEqual', 'Greater'),
  Sum: sum,
  Mean: mean,
  Where: where,
  Cast: cast,
  Neg: unary((dy, _x, _y, tape) => tape.emit('Neg', [dy])),
  Abs: unary((dy, x, _y, tape) => tape.emit('Mul', [dy, tape.emit('Sign', [x])])),
  Sqrt: unary((dy, _x, y, tape) => tape.emit('Div', [dy, tape.emit('Add', [y, y])])),
  Exp: unary((dy, _x, y, tape) => tape.emit('Mul', [dy, y])),
  Log: unary((dy, x, _y, tape) => tape.emit('Div', [dy, x])),
  Sin: unary((dy, x, _y, tape) => tape.emit('Mul', [dy, tape.emit('Cos', [x])])),
  Cos: unary((dy, x, _y, tape) => tape.emit('Neg', [tape.emit('Mul', [dy, tape.emit('Sin', [x])])])),
  Reciprocal: unary((dy, _x, y, tape) => tape.emit('Neg', [tape.emit('Mul', [dy, tape.emit('Mul', [y, y])])])),
}
