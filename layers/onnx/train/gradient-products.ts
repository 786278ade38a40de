import { floatAttribute, intAttribute } from '../graph/attributes.ts'
import { floatAttr, intAttr, intsAttr } from '../graph/build.ts'
import { product } from '../inspect/shape-arithmetic.ts'
import { type GradientRule, type Tape, unbroadcast } from './tape.ts'

/** dA = dY·Bᵀ and dB = Aᵀ·dY, with transposes left to Gemm's flags, whose kernels read either order. */

interface GemmFlags {
  transA?: boolean
  transB?: boolean
  alpha?: number
}

const emitGemm = (tape: Tape, a: string, b: string, { transA = false, transB = false, alpha = 1 }: GemmFlags): string =>
  tape.emit('Gemm', [a, b], [intAttr('transA', Number(transA)), intAttr('transB', Number(transB)), floatAttr('alpha', alpha)])

const gemm: GradientRule = (node, [dy], tape) => {
  const [a, b, c] = node.input
  if (!dy) return []
  const transA = intAttribute(node, 'transA', 0) === 1
  const transB = intAttribute(node, 'transB', 0) === 1
  const alpha = floatAttribute(node, 'alpha', 1)
  const ofA = (): string =>
    transA ? emitGemm(tape, b!, dy, { transA: transB, transB: true, alpha }) : emitGemm(tape, dy, b!, { transB: !transB, alpha })
  const ofB = (): string =>
    transB ? emitGemm(tape, dy, a!, { transA: true, transB: transA, alpha }) : emitGemm(tape, a!, dy, { transA: !transA, alpha })
  const ofC = (name: string): string => {
    const summed = unbroadcast(tape, dy, tape.shape(node.output[0]!), tape.shape(name))
    const beta = floatAttribute(node, 'beta', 1)
    return beta === 1 ? summed : tape.emit('Mul', [summed, tape.floats(beta)])
  }
  return [tape.wants(a) ? ofA() : undefined, tape.wants(b) ? ofB() : undefined, tape.wants(c) ? ofC(c) : undefined]
}

const swapLast = (tape: Tape, name: string, rank: number): string => {
  const order = Array.from({ length: rank }, (_, axis) => axis)
  return tape.emit('Transpose', [name], [intsAttr('perm', [...order.slice(0, -2), rank - 1, rank - 2])])
}

interface Operand {
  name: string
  shape: readonly number[]
}

const reshaped = (tape: Tape, { name, shape }: Operand, to: readonly number[]): Operand =>
  shape.length === to.length && shape.every((size, axis) => size === to[axis])
    ? { name, shape: to }
    : { name: tape.emit('Reshape', [name, tape.ints(to)]), shape: to }

const leftGradient = (tape: Tape, dy: Operand, a: Operand, b: Operand): string => {
  if (dy.shape.length === 2 && b.shape.length === 2) return emitGemm(tape, dy.name, b.name, { transB: true })
  const full = tape.emit('MatMul', [dy.name, swapLast(tape, b.name, b.shape.length)])
  return unbroadcast(tape, full, [...dy.shape.slice(0, -1), b.shape.at(-2)!], a.shape)
}

/** A weight shared by all rows of a batch is one product over all of them. */
const rightGradient = (tape: Tape, dy: Operand, a: Operand, b: Operand): string => {
  if (b.shape.length === 2) {
    const rows = (value: Operand): string => {
      const width = value.shape.at(-1)!
      return reshaped(tape, value, [product(value.shape) / width, width]).name
    }
    return emitGemm(tape, rows(a), rows(dy), { transA: true })
  }
  const full = tape.emit('MatMul', [swapLast(tape, a.name, a.shape.length), dy.name])
  return unbroadcast(tape, full, [...dy.shape.slice(0, -2), a.shape.at(-1)!, dy.shape.at(-1)!], b.shape)
}

/** Vectors are matrices of one row or column meanwhile, as numpy's `matmul` has it. */
const matMul: GradientRule = (node, [dy], tape) => {
  const [left, right] = [node.input[0]!, node.input[1]!]
  if (!dy) return []
  const given = { a: tape.shape(left), b: tape.shape(right), y: tape.shape(node.output[0]!) }
  const a_shape = given.a.length === 1 ? [1, ...given.a] : given.a
  const b_shape = given.b.length === 1 ? [...given.b, 1] : given.b
  const batch = given.y.slice(0, given.y.length - Number(given.a.length > 1) - Number(given.b.length > 1))
  const a = reshaped(tape, { name: left, shape: given.a }, a_shape)
  const b = reshaped(tape, { name: right, shape: given.b }, b_shape)
  const up = reshaped(tape, { name: dy, shape: given.y }, [...batch, a_shape.at(-2)!, b_shape.at(-1)!])
  const back = (name: string, from: readonly number[], to: readonly number[]): string =>
    reshaped(tape, { name, shape: from }, to).name
  return [
    tape.wants(left) ? back(leftGradient(tape, up, a, b), a_shape, given.a) : undefined,
    tape.wants(right) ? back(rightGradient(tape, up, a, b), b_shape, given.b) : undefined,
  ]
}

export const productRules: Readonly<Record<string, GradientRule>> = { Gemm: gemm, MatMul: matMul }
