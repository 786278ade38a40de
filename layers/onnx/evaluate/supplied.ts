import { setElement } from './inputs.ts'
import { type Label, labelsOf, labelsOfAll } from './labels.ts'
import { ArrayFault } from './npy.ts'
import type { NamedArray, NamedArrays } from './npz.ts'
import { elementBytes, elementCount, type Feeds, numbersOf, type TensorPort, type TensorValue } from './tensors.ts'

/** Rows of data that are made when asked for, so that a gigabyte of bytes does not become four of floats. */
export interface RowSet {
  count: number
  row(index: number): Feeds
  /** What row `index` should answer; undefined when the data have no labels. */
  label: ((index: number) => Label) | undefined
}

/**
 * Rows of feeds from arrays: one array per input, named as the input (a single array may have any name when the model has one
 * input), of the input's rank, its first axis holding the samples; an array of labels beside them. Types are converted when they
 * differ. Each feed takes as many samples as the input's fixed first dimension says, else one; a rest that does not fill one is left
 * out. Arrays of idx files take the shape of the input where the elements agree, and bytes for a float input become 0–1, as
 * torchvision's ToTensor makes them of images. Fails with ArrayFault.
 */
export function arrayRows(arrays: NamedArrays, ports: readonly TensorPort[]): RowSet {
  const { labels, others } = labelsOf(arrays, ports)
  const columns = ports.map((port) => ({ port, ...columnOf(port, pick(others, port, ports.length)) }))
  const counts = new Set(columns.map((column) => column.count))
  if (counts.size !== 1)
    throw new ArrayFault(
      `The arrays hold different numbers of samples: ${columns.map(({ port, count }) => `${port.name} ${count}`).join(', ')}`,
    )
  const count = columns[0]?.count ?? 0
  if (count === 0) throw new ArrayFault('The data hold no row')
  return {
    count,
    row: (index) => Object.fromEntries(columns.map(({ port, slice }) => [port.name, converted(slice(index), port)])),
    label: labels && labelsOfAll(labels, count, columns[0]?.each ?? 1),
  }
}

function pick(arrays: NamedArrays, port: TensorPort, inputs: number): NamedArray {
  const only = Object.values(arrays)
  const found =
    (Object.hasOwn(arrays, port.name) ? arrays[port.name] : undefined) ??
    (inputs === 1 && only.length === 1 ? only[0] : undefined)
  if (!found) throw new ArrayFault(`The data have no array for input ${port.name}; got ${Object.keys(arrays).join(', ')}`)
  return found
}

interface Slice {
  value: TensorValue
  /** Bytes of images, which become 0–1 for a float input. */
  image: boolean
}

interface ArrayColumn {
  count: number
  /** Samples of one feed. */
  each: number
  slice(index: number): Slice
}

function columnOf(port: TensorPort, array: NamedArray): ArrayColumn {
  const dims = array.idx ? fittedDims(port, array.dims) : array.dims
  const fits =
    dims.length === port.shape.length &&
    port.shape.every((size, axis) => axis === 0 || typeof size !== 'number' || size < 0 || size === dims[axis])
  if (!fits || dims.length === 0)
    throw new ArrayFault(
      `The array for input ${port.name} has shape [${array.dims}]; wanted [samples, ${port.shape.slice(1).join(', ')}]`,
    )
  const first = port.shape[0]
  const each = typeof first === 'number' && first > 0 ? first : 1
  const shape = [each, ...dims.slice(1)]
  const elements = elementCount(shape)
  if (elements === 0) throw new ArrayFault(`The array for input ${port.name} has shape [${array.dims}], which holds nothing`)
  const image = array.idx === true && array.type === 'uint8' && array.dims.length >= 3
  const part = (index: number): TensorValue => {
    if ('texts' in array)
      return { type: 'string', dims: shape, texts: array.texts.slice(index * elements, (index + 1) * elements) }
    const step = elements * (elementBytes(array.type) ?? 1)
    return { type: array.type, dims: shape, bytes: array.bytes.subarray(index * step, (index + 1) * step) }
  }
  return { count: Math.floor((dims[0] ?? 0) / each), each, slice: (index) => ({ value: part(index), image }) }
}

/** [60000, 28, 28] as the input has it: [samples, 784] or [samples, 1, 28, 28]; as it is where the elements do not agree. */
function fittedDims({ shape }: TensorPort, dims: number[]): number[] {
  const wanted = shape.slice(1)
  const sample = dims.slice(1)
  const whole = wanted.filter((size): size is number => typeof size === 'number' && size > 0)
  if (whole.length === wanted.length && elementCount(whole) === elementCount(sample)) return [dims[0] ?? 0, ...whole]
  const missing = wanted.length - sample.length
  if (missing > 0 && wanted.slice(0, missing).every((size) => size === 1))
    return [dims[0] ?? 0, ...wanted.slice(0, missing).map(() => 1), ...sample]
  return dims
}

function converted({ value, image }: Slice, port: TensorPort): TensorValue {
  if (port.type === undefined || value.type === port.type) return value
  const width = elementBytes(port.type)
  const numbers = numbersOf(value)
  if (width === undefined || !numbers)
    throw new ArrayFault(`Input ${port.name} is of type ${port.type}, which arrays of ${value.type} cannot fill`)
  const scale = image && port.type.startsWith('float') ? 1 / 255 : 1
  if (port.type === 'float32') {
    const floats = new Float32Array(numbers)
    if (scale !== 1) for (let at = 0; at < floats.length; at += 1) floats[at]! *= scale
    return { type: port.type, dims: value.dims, bytes: new Uint8Array(floats.buffer) }
  }
  const view = new DataView(new ArrayBuffer(numbers.length * width))
  for (let at = 0; at < numbers.length; at += 1) setElement(view, at * width, port.type, (numbers[at] ?? 0) * scale)
  return { type: port.type, dims: value.dims, bytes: new Uint8Array(view.buffer) }
}
