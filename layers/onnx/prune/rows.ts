import type { NodeProto } from '../codec/schema.ts'
import { seededRandom } from '../evaluate/inputs.ts'
import { intsAttribute, stringAttribute } from '../graph/attributes.ts'
import type { Rows } from '../linear-algebra/gram.ts'

export interface FloatValue {
  values: Float32Array
  dims: readonly number[]
}

/** Which rows of a sample are looked at, evenly drawn; all when there are no more than `most`. */
export function drawnRows(count: number, most: number, seed: number): Int32Array {
  if (count <= most) return Int32Array.from({ length: count }, (_, at) => at)
  const random = seededRandom(seed)
  const step = count / most
  return Int32Array.from({ length: most }, (_, at) => Math.min(count - 1, Math.floor((at + random()) * step)))
}

/** Rows of what lies along one axis of a value, the other axes numbered in order. */
export function axisRows({ values, dims }: FloatValue, axis: number, drawn: Int32Array): Rows {
  const width = dims[axis] ?? 1
  const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1)
  const taken = new Float32Array(drawn.length * width)
  drawn.forEach((row, at) => {
    const start = Math.floor(row / inner) * width * inner + (row % inner)
    for (let position = 0; position < width; position++) taken[at * width + position] = values[start + position * inner]!
  })
  return { values: taken, width }
}

/** A convolution's window over two axes; one axis is a picture of height 1. */
export interface Taps {
  kernel: [number, number]
  strides: [number, number]
  dilations: [number, number]
  /** Before the first row and column. */
  pads: [number, number]
}

interface Sizes {
  input: readonly number[]
  output: readonly number[]
}

const pair = (given: readonly number[] | undefined, absent: number): [number, number] =>
  given?.length === 2 ? [given[0]!, given[1]!] : given?.length === 1 ? [absent, given[0]!] : [absent, absent]

/** The window of a Conv with weights [M, C, kh, kw] (or [M, C, k]); undefined for three axes and more. */
export function tapsOf(node: NodeProto, weight_dims: readonly number[], sizes: Sizes): Taps | undefined {
  const kernel = weight_dims.slice(2)
  if (kernel.length < 1 || kernel.length > 2) return undefined
  const strides = pair(intsAttribute(node, 'strides'), 1)
  const dilations = pair(intsAttribute(node, 'dilations'), 1)
  const auto_pad = stringAttribute(node, 'auto_pad', 'NOTSET')
  const given = intsAttribute(node, 'pads')?.slice(0, kernel.length)
  const pads = auto_pad === 'NOTSET' ? pair(given, 0) : pair(automaticPads(kernel, { strides, dilations }, sizes, auto_pad), 0)
  return { kernel: pair(kernel, 1), strides, dilations, pads }
}

/** What SAME_UPPER and SAME_LOWER pad before each axis. */
function automaticPads(
  kernel: readonly number[],
  { strides, dilations }: Pick<Taps, 'strides' | 'dilations'>,
  sizes: Sizes,
  auto_pad: string,
): number[] {
  if (auto_pad === 'VALID') return kernel.map(() => 0)
  const first = 2 - kernel.length
  return kernel.map((size, axis) => {
    const reach = (size - 1) * dilations[first + axis]! + 1
    const total = Math.max(0, (sizes.output[axis + 2]! - 1) * strides[first + axis]! + reach - sizes.input[axis + 2]!)
    return auto_pad === 'SAME_LOWER' ? Math.ceil(total / 2) : Math.floor(total / 2)
  })
}

/**
 * What a convolution sees at some places of its output, one row each, in the order of its weights (channel, row, column); 0 outside.
 */
export function patchRows(input: FloatValue, taps: Taps, output_dims: readonly number[], drawn: Int32Array): Rows {
  const channels = input.dims[1] ?? 1
  const [height, width] = pair(input.dims.slice(2), 1)
  const [, out_width] = pair(output_dims.slice(2), 1)
  const places = output_dims.slice(2).reduce((product, dim) => product * dim, 1)
  const offsets = tapPlaces(taps)
  const row_width = channels * offsets.length
  const taken = new Float32Array(drawn.length * row_width)
  drawn.forEach((row, at) => {
    const place = row % places
    const top = Math.floor(place / out_width) * taps.strides[0] - taps.pads[0]
    const left = (place % out_width) * taps.strides[1] - taps.pads[1]
    const start = Math.floor(row / places) * channels * height * width
    offsets.forEach(([dy, dx], offset) => {
      const [y, x] = [top + dy * taps.dilations[0], left + dx * taps.dilations[1]]
      if (y < 0 || x < 0 || y >= height || x >= width) return
      const from = start + y * width + x
      const into = at * row_width + offset
      for (let channel = 0; channel < channels; channel++)
        taken[into + channel * offsets.length] = input.values[from + channel * height * width]!
    })
  })
  return { values: taken, width: row_width }
}

/** Rows and columns of a kernel, in the order weights are stored. */
const tapPlaces = ({ kernel }: Taps): [number, number][] =>
  Array.from({ length: kernel[0] * kernel[1] }, (_, at) => [Math.floor(at / kernel[1]), at % kernel[1]])

/** Every `step`th column from `first` on. */
export function everyColumn({ values, width }: Rows, first: number, step: number): Rows {
  const narrow = width / step
  const taken = new Float32Array((values.length / width) * narrow)
  for (let at = 0; at < taken.length; at++) taken[at] = values[Math.floor(at / narrow) * width + first + (at % narrow) * step]!
  return { values: taken, width: narrow }
}

/** These columns, in this order. */
export function someColumns({ values, width }: Rows, columns: readonly number[]): Rows {
  const narrow = columns.length
  const taken = new Float32Array((values.length / width) * narrow)
  for (let at = 0; at < taken.length; at++) taken[at] = values[Math.floor(at / narrow) * width + columns[at % narrow]!]!
  return { values: taken, width: narrow }
}

/** Rows of several samples, one after the other. */
export function joinRows(parts: readonly Rows[]): Rows {
  const width = parts[0]?.width ?? 1
  const values = new Float32Array(parts.reduce((sum, part) => sum + part.values.length, 0))
  let at = 0
  for (const part of parts) {
    values.set(part.values, at)
    at += part.values.length
  }
  return { values, width }
}
