import { setElement } from './inputs.ts'
import { ArrayFault } from './npy.ts'
import type { NamedArrays } from './npz.ts'
import { elementBytes, elementCount, type Feeds, numbersOf, type TensorPort, type TensorValue } from './tensors.ts'

/**
 * Rows of feeds from supplied arrays: one array per input, named as the input (a single array may have any name when the model
 * has one input), of the input's rank, its first axis holding the samples. Types are converted when they differ.
 * Each feed takes as many samples as the input's fixed first dimension says, else one; a rest that does not fill one is left out.
 */
export function suppliedRows(arrays: NamedArrays, ports: readonly TensorPort[], max_rows: number): Feeds[] {
  const columns = ports.map((port) => slices(port, pick(arrays, port, ports.length), max_rows))
  const counts = new Set(columns.map((column) => column.length))
  if (counts.size !== 1)
    throw new ArrayFault(
      `The arrays hold different numbers of samples: ${ports.map((port, at) => `${port.name} ${columns[at]?.length}`).join(', ')}`,
    )
  const rows = columns[0]?.length ?? 0
  if (rows === 0) throw new ArrayFault('The calibration data hold no sample')
  return Array.from({ length: rows }, (_, row) =>
    Object.fromEntries(ports.flatMap((port, at) => (columns[at]?.[row] ? [[port.name, columns[at][row]]] : []))),
  )
}

function pick(arrays: NamedArrays, port: TensorPort, inputs: number): NamedArrays[string] {
  const only = Object.values(arrays)
  const found =
    (Object.hasOwn(arrays, port.name) ? arrays[port.name] : undefined) ??
    (inputs === 1 && only.length === 1 ? only[0] : undefined)
  if (!found)
    throw new ArrayFault(`The calibration data have no array for input ${port.name}; got ${Object.keys(arrays).join(', ')}`)
  return found
}

function slices(port: TensorPort, array: NamedArrays[string], max_rows: number): TensorValue[] {
  const { dims } = array
  const fits =
    dims.length === port.shape.length &&
    port.shape.every((size, axis) => axis === 0 || typeof size !== 'number' || size < 0 || size === dims[axis])
  if (!fits || dims.length === 0)
    throw new ArrayFault(
      `The array for input ${port.name} has shape [${dims}]; wanted [samples, ${port.shape.slice(1).join(', ')}]`,
    )
  const first = port.shape[0]
  const each = typeof first === 'number' && first > 0 ? first : 1
  const count = Math.min(max_rows, Math.floor((dims[0] ?? 0) / each))
  const shape = [each, ...dims.slice(1)]
  const step = elementCount(shape) * (elementBytes(array.type) ?? 1)
  return Array.from({ length: count }, (_, row) =>
    converted({ type: array.type, dims: shape, bytes: array.bytes.subarray(row * step, (row + 1) * step) }, port),
  )
}

function converted(value: TensorValue, port: TensorPort): TensorValue {
  if (port.type === undefined || value.type === port.type) return value
  const width = elementBytes(port.type)
  const numbers = numbersOf(value)
  if (width === undefined || !numbers)
    throw new ArrayFault(`Input ${port.name} is of type ${port.type}, which arrays of ${value.type} cannot fill`)
  const view = new DataView(new ArrayBuffer(numbers.length * width))
  for (let at = 0; at < numbers.length; at += 1) setElement(view, at * width, port.type, numbers[at] ?? 0)
  return { type: port.type, dims: value.dims, bytes: new Uint8Array(view.buffer) }
}
