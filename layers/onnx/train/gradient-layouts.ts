import type { NodeProto } from '../codec/schema.ts'
import { intAttribute, stringAttribute } from '../graph/attributes.ts'
import { intAttr, intsAttr, stringAttr } from '../graph/build.ts'
import { fromStart } from '../inspect/shape-arithmetic.ts'
import { type GradientRule, refuseGradient, type Tape } from './tape.ts'

/** Operators that lay elements out anew, repeat or pick them, and sums of products over named axes. */

const zeros = (tape: Tape, shape: readonly number[]): string => tape.emit('ConstantOfShape', [tape.ints(shape)])

const depthToSpace: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  const block = intAttribute(node, 'blocksize', 1)
  if (stringAttribute(node, 'mode', 'DCR') === 'DCR') return [tape.emit('SpaceToDepth', [dy], [intAttr('blocksize', block)])]
  const [batch, channels, height, width] = tape.shape(x) as [number, number, number, number]
  const parts = [batch, channels / block ** 2, height, block, width, block]
  const split = tape.emit('Reshape', [dy, tape.ints(parts)])
  const moved = tape.emit('Transpose', [split], [intsAttr('perm', [0, 1, 3, 5, 2, 4])])
  return [tape.emit('Reshape', [moved, tape.ints(tape.shape(x))])]
}

const spaceToDepth: GradientRule = (node, [dy], tape) => {
  const blocksize = intAttr('blocksize', intAttribute(node, 'blocksize', 1))
  return [dy && tape.wants(node.input[0]) ? tape.emit('DepthToSpace', [dy], [blocksize]) : undefined]
}

/** Every copy's gradient comes together. */
const tile: GradientRule = (node, [dy], tape) => {
  const x = node.input[0]!
  if (!dy || !tape.wants(x)) return []
  const [shape, full] = [tape.shape(x), tape.shape(node.output[0]!)]
  const apart = tape.emit('Reshape', [dy, tape.ints(shape.flatMap((size, axis) => [full[axis]! / Math.max(1, size), size]))])
  const copies = tape.ints(shape.map((_, axis) => 2 * axis))
  return [tape.emit('ReduceSum', [apart, copies], [intAttr('keepdims', 0)])]
}

const gatherElements: GradientRule = (node, [dy], tape) => {
  const [data, indices] = [node.input[0]!, node.input[1]!]
  if (!dy || !tape.wants(data)) return []
  const axis = intAttr('axis', fromStart(intAttribute(node, 'axis', 0), tape.shape(data).length))
  return [tape.emit('ScatterElements', [zeros(tape, tape.shape(data)), indices, dy], [axis, stringAttr('reduction', 'add')])]
}

const gatherNd: GradientRule = (node, [dy], tape) => {
  const [data, indices] = [node.input[0]!, node.input[1]!]
  if (!dy || !tape.wants(data)) return []
  if (intAttribute(node, 'batch_dims', 0) !== 0) return refuseGradient(node, 'it has batch dimensions')
  return [tape.emit('ScatterND', [zeros(tape, tape.shape(data)), indices, dy], [stringAttr('reduction', 'add')])]
}

/** The terms of an equation, each letter of a term once; refuses what has no such form. */
const einsumTerms = (node: NodeProto): { inputs: string[]; output: string } => {
  const equation = stringAttribute(node, 'equation', '').replaceAll(' ', '')
  const [left = '', output] = equation.split('->')
  const inputs = left.split(',')
  if (output === undefined || equation.includes('.') || [...inputs, output].some((term) => new Set(term).size !== term.length))
    return refuseGradient(node, `its equation ${equation} leaves the output open or repeats an axis`)
  return { inputs, output }
}

/** Of one factor: the output's gradient times all other factors, summed over what the factor has not. */
const einsum: GradientRule = (node, [dy], tape) => {
  if (!dy) return []
  const { inputs, output } = einsumTerms(node)
  return node.input.map((name, at) => {
    if (!tape.wants(name)) return undefined
    const others = node.input.flatMap((other, place) => (place === at ? [] : [{ other, term: inputs[place]! }]))
    const seen = new Set([output, ...others.map(({ term }) => term)].join(''))
    const known = [...inputs[at]!].filter((letter) => seen.has(letter)).join('')
    const equation = `${[output, ...others.map(({ term }) => term)].join(',')}->${known}`
    const part = tape.emit('Einsum', [dy, ...others.map(({ other }) => other)], [stringAttr('equation', equation)])
    // Axes that only this factor has were summed up: each of their elements gets all of it.
    const shape = tape.shape(name).map((size, axis) => (seen.has(inputs[at]![axis]!) ? size : 1))
    const kept = tape.emit('Reshape', [part, tape.ints(shape)])
    return tape.emit('Expand', [kept, tape.ints(tape.shape(name))])
  })
}

export const layoutRules: Readonly<Record<string, GradientRule>> = {
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Tile: tile,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  Einsum: einsum,
}
