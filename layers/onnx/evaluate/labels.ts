import { ArrayFault } from './npy.ts'
import type { NamedArray, NamedArrays } from './npz.ts'
import { elementCount, numbersOf, type TensorPort } from './tensors.ts'

/**
 * What one row should answer: a class or a number; a text; several of them (one per position or output element); or boxes
 * [x1, y1, x2, y2, class].
 */
export type Label = number | string | number[] | string[] | number[][]

/** Names an array of labels usually has; an input of the model so called is an input. */
const labelNames = ['labels', 'label', 'targets', 'target', 'y']

export interface LabelledArrays {
  labels: { name: string; array: NamedArray } | undefined
  others: NamedArrays
}

/** Tells the labels among arrays from those that feed inputs. */
export function labelsOf(arrays: NamedArrays, ports: readonly TensorPort[]): LabelledArrays {
  const name = labelNames.find((each) => Object.hasOwn(arrays, each) && !ports.some((port) => port.name === each))
  const array = name === undefined ? undefined : arrays[name]
  // A single array of any name feeds a single input.
  if (name === undefined || array === undefined || Object.keys(arrays).length === 1) return { labels: undefined, others: arrays }
  return { labels: { name, array }, others: Object.fromEntries(Object.entries(arrays).filter(([each]) => each !== name)) }
}

/** Box labels are [rows, boxes, 5]; unused places hold class -1 or no area. */
const BOX = 5

/**
 * Labels by row, of an array whose first axis counts samples and which feeds take `each` of at once.
 * Fails with ArrayFault when there are not as many as rows.
 */
export function labelsOfAll(
  { name, array }: NonNullable<LabelledArrays['labels']>,
  rows: number,
  each: number,
): (index: number) => Label {
  const samples = array.dims[0] ?? 0
  if (Math.floor(samples / each) !== rows)
    throw new ArrayFault(`The labels ${name} are ${samples}; wanted one for each of ${rows * each} samples`)
  const step = (elementCount(array.dims) / Math.max(1, samples)) * each
  const values = 'texts' in array ? array.texts : numbersOf(array)
  if (!values) throw new ArrayFault(`The labels ${name} are of type ${array.type}; wanted numbers or texts`)
  const boxes = array.dims.length === 3 && array.dims[2] === BOX && each === 1
  return (index) => {
    const mine = values.slice(index * step, (index + 1) * step)
    if (boxes && mine instanceof Float64Array) return boxesOf(mine)
    if (step === 1 && mine[0] !== undefined) return mine[0]
    return mine instanceof Float64Array ? [...mine] : mine.map(String)
  }
}

const boxesOf = (numbers: Float64Array): number[][] =>
  Array.from({ length: numbers.length / BOX }, (_, at) => [...numbers.subarray(at * BOX, (at + 1) * BOX)]).filter(
    ([x1 = 0, y1 = 0, x2 = 0, y2 = 0, kind = -1]) => kind >= 0 && x2 > x1 && y2 > y1,
  )
