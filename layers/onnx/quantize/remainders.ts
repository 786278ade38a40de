import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { int64Tensor, intAttr, intsAttr, makeNode, makeTensor, scalarTensor } from '../graph/build.ts'
import { opsetOf } from '../graph/opsets.ts'
import { mainGraph } from '../graph/walk.ts'

/** Bits of a weight that 8 are too few for. */
export type FinerBits = 10 | 12

/** Into how many parts that divides a step of 8 bits. */
export const partsOf = (bits: FinerBits): number => (bits === 12 ? 16 : 4)

export interface Remainders {
  /**
   * Takes a weight's codes in parts of a step and answers those in whole steps, with the name under which what is left over, in steps,
   * will be found.
   */
  take(codes: Int16Array, dims: readonly number[], bits: FinerBits): { values: Int8Array; remainder: string }
  /**
   * Stores all that was taken, two or four to a byte, and puts the nodes that take it apart at the front of the outermost graph; the
   * runtime folds them when it loads the model.
   */
  finish(): void
}

interface Taken {
  name: string
  dims: readonly number[]
  /** What is left over in parts of a step, and half a step, so that none is negative. */
  rest: Uint8Array
}

export function remaindersIn(model: ModelProto, fresh: (base: string) => string): Remainders {
  const taken: Record<FinerBits, Taken[]> = { 10: [], 12: [] }
  return {
    take(codes, dims, bits) {
      const parts = partsOf(bits)
      const values = new Int8Array(codes.length)
      const rest = new Uint8Array(codes.length)
      for (let at = 0; at < codes.length; at++) {
        const whole = Math.floor((codes[at]! + parts / 2) / parts)
        values[at] = whole
        rest[at] = codes[at]! - whole * parts + parts / 2
      }
      const name = fresh('remainder')
      taken[bits].push({ name, dims, rest })
      return { values, remainder: name }
    },
    finish() {
      for (const bits of [10, 12] as const)
        if (taken[bits].length > 0) mainGraph(model).node.unshift(...unpacking(model, taken[bits], partsOf(bits), fresh))
    },
  }
}

/** Digits to the base of `parts`, the first share of all digits in the highest place of the bytes, the last in the lowest. */
function packed(taken: readonly Taken[], parts: number): { bytes: Uint8Array; places: number; spare: number } {
  const places = Math.log(256) / Math.log(parts)
  const total = taken.reduce((sum, { rest }) => sum + rest.length, 0)
  const share = Math.ceil(total / places)
  const bytes = new Uint8Array(share)
  let digit = 0
  for (const { rest } of taken)
    for (const value of rest) {
      bytes[digit % share]! += value * parts ** (places - 1 - Math.floor(digit / share))
      digit++
    }
  return { bytes, places, spare: share * places - total }
}

/** The nodes that make of bytes the digits they hold, in steps around zero, each weight's in its own shape. */
function unpacking(model: ModelProto, taken: readonly Taken[], parts: number, fresh: (base: string) => string): NodeProto[] {
  const { bytes, places, spare } = packed(taken, parts)
  const nodes: NodeProto[] = []
  const keep = (tensor: TensorProto): string => {
    mainGraph(model).initializer.push(tensor)
    return tensor.name ?? ''
  }
  const number = (value: number): string => keep(scalarTensor(fresh('digits'), value))
  const add = (op: string, inputs: string[], attributes: NodeProto['attribute'] = []): string => {
    const name = fresh('digits')
    nodes.push(makeNode(op, inputs, [name], { attributes }))
    return name
  }
  let left = add('Cast', [keep(makeTensor(fresh('digits'), [bytes.length], bytes))], [intAttr('to', DataType.FLOAT)])
  const digits: string[] = []
  for (let place = places - 1; place > 0; place--) {
    const highest = add('Floor', [add('Mul', [left, number(parts ** -place)])])
    digits.push(highest)
    left = add('Sub', [left, add('Mul', [highest, number(parts ** place)])])
  }
  const joined = add('Concat', [...digits, left], [intAttr('axis', 0)])
  const steps = add('Sub', [add('Mul', [joined, number(1 / parts)]), number(0.5)])
  const sizes = [...taken.map(({ rest }) => rest.length), ...(spare > 0 ? [spare] : [])]
  const pieces = sizes.map(() => fresh('digits'))
  // Sizes moved from an attribute to an input with operator set 13.
  const old = (opsetOf(model) ?? 0) < 13
  const attributes = [intAttr('axis', 0), ...(old ? [intsAttr('split', sizes)] : [])]
  nodes.push(makeNode('Split', [steps, ...(old ? [] : [keep(int64Tensor(fresh('digits'), sizes))])], pieces, { attributes }))
  for (const [at, { name, dims }] of taken.entries())
    nodes.push(makeNode('Reshape', [pieces[at] ?? '', keep(int64Tensor(fresh('digits'), dims))], [name]))
  return nodes
}
