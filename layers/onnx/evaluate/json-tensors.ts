import { setElement } from './inputs.ts'
import { ArrayFault } from './npy.ts'
import { elementBytes, elementCount, type TensorPort, type TensorValue } from './tensors.ts'

const MAX_RANK = 32

/** Smallest and largest value of whole-number types narrower than what JSON's numbers hold. */
const ranges: Readonly<Record<string, readonly [number, number]>> = {
  bool: [0, 1],
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32_768, 32_767],
  uint16: [0, 65_535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  uint64: [0, Number.MAX_SAFE_INTEGER],
}

/** A JSON value as the input wants it. Fails with ArrayFault naming line and input. */
export function tensorOf(value: unknown, port: TensorPort, line: number): TensorValue {
  const fault = (what: string): ArrayFault => new ArrayFault(`Line ${line}: input ${port.name} ${what}`)
  const { flat, dims } = shaped(value, fault) ?? unnested(value, fault)
  const shape = fitted(dims, port)
  if (!shape) throw fault(`has shape [${dims}]; wanted [${port.shape.join(', ')}]`)
  if (port.type !== 'string') return { type: port.type ?? 'none', dims: shape, bytes: bytesOf(flat, port, fault) }
  const odd = flat.find((each) => typeof each !== 'string')
  if (odd !== undefined) throw fault(`holds ${JSON.stringify(odd)}; wanted texts`)
  return { type: 'string', dims: shape, texts: flat.map(String) }
}

interface Flat {
  flat: readonly unknown[]
  dims: number[]
}
type FaultOf = (what: string) => ArrayFault

/** `{shape, data}`; undefined for anything else. */
function shaped(value: unknown, fault: FaultOf): Flat | undefined {
  if (typeof value !== 'object' || value === null || !('data' in value) || !('shape' in value)) return undefined
  const { data, shape } = value
  if (!Array.isArray(data) || !Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0))
    throw fault('has shape or data that are no lists; wanted {"shape": [sizes], "data": [elements]}')
  const flat = data.flat(MAX_RANK)
  const dims = shape.map(Number)
  if (elementCount(dims) !== flat.length)
    throw fault(`has ${flat.length} elements; wanted ${elementCount(dims)} for its shape [${dims}]`)
  return { flat, dims }
}

/** Nested lists, all of one length at each depth. */
function unnested(value: unknown, fault: FaultOf): Flat {
  const dims: number[] = []
  for (let at = value; Array.isArray(at) && dims.length <= MAX_RANK; at = at[0]) dims.push(at.length)
  const flat: unknown[] = []
  const walk = (part: unknown, axis: number): void => {
    const size = dims[axis]
    if (Array.isArray(part) ? part.length !== size : size !== undefined)
      throw fault(
        `is ragged at depth ${axis + 1}: got ${Array.isArray(part) ? `${part.length} elements` : JSON.stringify(part)}; wanted ${size ?? 'one number'}`,
      )
    if (Array.isArray(part)) for (const each of part) walk(each, axis + 1)
    else flat.push(part)
  }
  walk(value, 0)
  return { flat, dims }
}

/** The dims as they are, or with the first dimension that was left out; undefined when they do not fit. */
function fitted(dims: number[], { shape }: TensorPort): number[] | undefined {
  const fits = (sizes: number[]): boolean =>
    sizes.length === shape.length && shape.every((size, axis) => typeof size !== 'number' || size < 0 || size === sizes[axis])
  return [dims, [1, ...dims]].find(fits)
}

function bytesOf(flat: readonly unknown[], { type = 'none' }: TensorPort, fault: FaultOf): Uint8Array {
  const width = elementBytes(type)
  if (width === undefined) throw fault(`is of type ${type}, which JSON cannot fill`)
  const [low, high] = ranges[type] ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  const whole = type in ranges
  const view = new DataView(new ArrayBuffer(flat.length * width))
  for (const [at, each] of flat.entries()) {
    const number = typeof each === 'boolean' ? Number(each) : each
    if (typeof number !== 'number' || number < low || number > high || (whole && !Number.isInteger(number)))
      throw fault(
        `holds ${JSON.stringify(each)?.slice(0, 40)}; wanted ${whole ? `whole numbers from ${low} to ${high}` : 'numbers'}`,
      )
    setElement(view, at * width, type, number)
  }
  return new Uint8Array(view.buffer)
}
