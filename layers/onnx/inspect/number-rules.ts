import type { NodeProto } from '../codec/schema.ts'
import { tensorNumbers } from '../codec/tensor-values.ts'
import { intAttribute, tensorAttribute } from '../graph/attributes.ts'
import type { ShapeRule, ValueFacts } from './infer-shapes.ts'
import { broadcast, fromStart, product } from './shape-arithmetic.ts'

/** Rules of the operators with which graphs compute shapes: besides the shape they follow the numbers themselves. */

/** Elementwise arithmetic; numbers are followed when both sides have the same length or one is a single number. */
const arithmetic =
  (combine: (a: number, b: number) => number): ShapeRule =>
  (_node, [a, b]) => {
    const shape = broadcast([a?.shape, b?.shape])
    const [left, right] = [a?.numbers, b?.numbers]
    const count = shape ? product(shape) : 0
    const fits =
      left && right && shape && shape.length <= 1 && [left, right].every((list) => list.length === count || list.length === 1)
    const numbers = fits
      ? Array.from({ length: count }, (_, at) => combine(left[left.length === 1 ? 0 : at]!, right[right.length === 1 ? 0 : at]!))
      : undefined
    return [shape && { shape, numbers }]
  }

const same: ShapeRule = (_node, [x]) => [x]

const shapeOf: ShapeRule = (node, [x]) => {
  if (!x?.shape) return undefined
  const rank = x.shape.length
  const numbers = x.shape.slice(fromStart(intAttribute(node, 'start', 0), rank), fromStart(intAttribute(node, 'end', rank), rank))
  return [{ shape: [numbers.length], numbers }]
}

const concat: ShapeRule = (node, inputs) => {
  const first = inputs[0]?.shape
  if (!first || inputs.some((input) => input?.shape?.length !== first.length)) return undefined
  const axis = fromStart(intAttribute(node, 'axis', 1), first.length)
  const size = inputs.reduce((sum, input) => sum + (input?.shape?.[axis] ?? Number.NaN), 0)
  const lists = inputs.map((input) => input?.numbers)
  const numbers =
    first.length === 1 && lists.every((list) => list !== undefined) ? lists.flatMap((list) => list ?? []) : undefined
  return [{ shape: first.with(axis, size), numbers }]
}

const gather: ShapeRule = (node, [data, indices]) => {
  if (!data?.shape || !indices?.shape || data.shape.length === 0) return undefined
  const axis = fromStart(intAttribute(node, 'axis', 0), data.shape.length)
  const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)]
  const list = data.numbers
  const picked =
    data.shape.length === 1 && list ? indices.numbers?.map((at) => list[fromStart(at, list.length)] ?? Number.NaN) : undefined
  return [{ shape, numbers: picked }]
}

/** Any shape of at most this many equal numbers is followed. */
const FEW_NUMBERS = 256

const filled = (node: NodeProto, shape: number[]): ValueFacts => {
  const value = tensorAttribute(node, 'value')
  const number = value ? tensorNumbers(value)[0] : 0
  const count = product(shape)
  return {
    shape,
    numbers: count <= FEW_NUMBERS && count >= 0 && number !== undefined ? new Array<number>(count).fill(number) : undefined,
  }
}

const range: ShapeRule = (_node, [start, limit, delta]) => {
  const [from, to, by] = [start?.numbers?.[0], limit?.numbers?.[0], delta?.numbers?.[0]]
  if (from === undefined || to === undefined || by === undefined || by === 0) return undefined
  const count = Math.max(0, Math.ceil((to - from) / by))
  return [
    { shape: [count], numbers: count <= FEW_NUMBERS ? Array.from({ length: count }, (_, at) => from + at * by) : undefined },
  ]
}

const expand: ShapeRule = (_node, [x, target]) => {
  const shape = broadcast([x?.shape, target?.numbers])
  return [shape && { shape }]
}

const tile: ShapeRule = (_node, [x, repeats]) => [
  x?.shape && repeats?.numbers && { shape: x.shape.map((size, axis) => size * (repeats.numbers![axis] ?? 1)) },
]

export const numberRules: Readonly<Record<string, ShapeRule>> = {
  Add: arithmetic((a, b) => a + b),
  Cast: same,
  Concat: concat,
  ConstantOfShape: (node, [shape]) => shape?.numbers && [filled(node, shape.numbers)],
  Div: arithmetic((a, b) => Math.trunc(a / b)),
  Expand: expand,
  Gather: gather,
  Identity: same,
  Mul: arithmetic((a, b) => a * b),
  Range: range,
  Shape: shapeOf,
  Size: (_node, [x]) => [{ shape: [], numbers: x?.shape && [product(x.shape)] }],
  Sub: arithmetic((a, b) => a - b),
  Tile: tile,
}
