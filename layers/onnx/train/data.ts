import type { Tensor } from 'onnxruntime-node'
import { seededRandom } from '../evaluate/inputs.ts'
import { ArrayFault } from '../evaluate/npy.ts'
import type { NamedArrays } from '../evaluate/npz.ts'
import { toTensor } from '../evaluate/session-tensors.ts'
import { elementBytes, elementCount, numbersOf, type TensorValue } from '../evaluate/tensors.ts'

/** One column of the data: samples along the first axis, contiguous bytes. */
export interface Column {
  type: string
  /** Of one sample. */
  dims: number[]
  sample_bytes: number
  bytes: Uint8Array
}

/** Samples to train on: a column per input of the model, and what the loss compares with. */
export interface TrainingData {
  samples: number
  columns: Record<string, Column>
}

/** @throws ArrayFault when the array is no list of samples of numbers */
export const columnOf = (name: string, value: TensorValue): Column => {
  const width = elementBytes(value.type)
  if ('texts' in value || width === undefined || value.dims.length === 0)
    throw new ArrayFault(
      `The array ${name} is ${value.type} of shape [${value.dims}]; wanted numbers with samples on the first axis`,
    )
  const dims = value.dims.slice(1)
  return { type: value.type, dims, sample_bytes: elementCount(dims) * width, bytes: value.bytes }
}

/** Class numbers of every sample as INT64, from an array of whole numbers of any type, [samples] or [samples, positions]. */
export const labelColumn = (name: string, value: TensorValue): Column => {
  const numbers = numbersOf(value)
  if (!numbers?.every((label) => Number.isInteger(label) && label >= 0))
    throw new ArrayFault(`The labels ${name} are not whole numbers from 0`)
  const bytes = new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer)
  const single = value.dims.length === 2 && value.dims[1] === 1
  return columnOf(name, { type: 'int64', dims: single ? value.dims.slice(0, 1) : value.dims, bytes })
}

/** Columns that all hold the same number of samples. @throws ArrayFault when they do not, or hold none */
export const trainingData = (columns: Record<string, Column>): TrainingData => {
  const counts = Object.entries(columns).map(([name, column]) => ({
    name,
    count: Math.floor(column.bytes.length / column.sample_bytes),
  }))
  const samples = counts[0]?.count ?? 0
  if (samples === 0 || counts.some(({ count }) => count !== samples))
    throw new ArrayFault(
      `Wanted as many samples in every array, got ${counts.map(({ name, count }) => `${name} ${count}`).join(', ')}`,
    )
  return { samples, columns }
}

/** The arrays that are inputs of the model (a single one may have any name), as columns. @throws ArrayFault naming what is missing */
export const inputColumns = (
  arrays: NamedArrays,
  inputs: readonly string[],
  labels: string | undefined,
): Record<string, Column> => {
  const others = Object.keys(arrays).filter((name) => name !== labels)
  return Object.fromEntries(
    inputs.map((input) => {
      const name = Object.hasOwn(arrays, input) ? input : inputs.length === 1 && others.length === 1 ? others[0]! : undefined
      const value = name === undefined ? undefined : arrays[name]
      if (!value) throw new ArrayFault(`The data have no array for input ${input}; got ${Object.keys(arrays).join(', ')}`)
      return [input, columnOf(input, value)]
    }),
  )
}

/** The samples of these numbers, one after the other. */
export const batchOf = (data: TrainingData, picked: readonly number[]): Record<string, Tensor> =>
  Object.fromEntries(
    Object.entries(data.columns).map(([name, column]) => {
      const bytes = new Uint8Array(picked.length * column.sample_bytes)
      for (const [at, sample] of picked.entries()) {
        const start = sample * column.sample_bytes
        bytes.set(column.bytes.subarray(start, start + column.sample_bytes), at * column.sample_bytes)
      }
      return [name, toTensor({ type: column.type, dims: [picked.length, ...column.dims], bytes })]
    }),
  )

const shuffled = (count: number, random: () => number): number[] => {
  const order = Array.from({ length: count }, (_, at) => at)
  for (let at = count - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1))
    ;[order[at], order[other]] = [order[other]!, order[at]!]
  }
  return order
}

/** Numbers of samples to learn from, and of those kept aside to judge by; the same for the same seed. */
export const splitSamples = (samples: number, held_out_share: number, seed: number): { learn: number[]; held_out: number[] } => {
  const order = shuffled(samples, seededRandom(seed))
  const held = samples < 2 ? 0 : Math.min(samples - 1, Math.round(samples * held_out_share))
  return { learn: order.slice(held), held_out: order.slice(0, held) }
}

/** Endless batches: every epoch sees each sample once in a new order; the rest of an epoch starts the next one's first batch. */
export function* batches(samples: readonly number[], size: number, seed: number): Generator<number[]> {
  const random = seededRandom(seed + 1)
  let left: number[] = []
  for (;;) {
    while (left.length < size) left.push(...shuffled(samples.length, random).map((at) => samples[at]!))
    yield left.slice(0, size)
    left = left.slice(size)
  }
}
