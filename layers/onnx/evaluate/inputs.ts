import { RunFault } from './fault.ts'
import { elementBytes, elementCount, type Feeds, type TensorPort, type TensorValue } from './tensors.ts'

/**
 * Sizes tried for free dimensions other than the batch, until one works: for images (rank ≥ 4) and for all else. A model
 * often accepts only multiples of its stride, or at least one window of sound.
 */
const IMAGE_SIZES = [224, 320, 96, 64, 32, 16, 1]
const SEQUENCE_SIZES = [32, 128, 16_000, 16, 8, 2, 1]
/** Integers are drawn from 0 to below these: token ids of a small vocabulary, then labels, then flags. */
const INTEGER_LIMITS = [100, 10, 2]
/** Neighbour correlation of every second row: real signals and images are smooth, white noise is not. */
const SMOOTHNESS = 0.95

/** How free dimensions are filled. */
export interface InputPlan {
  image_size: number
  sequence_size: number
  integer_limit: number
}

const isFree = (size: number | string | undefined): boolean => typeof size !== 'number' || size < 0

/** Plans worth trying for these inputs, most representative first; one plan when nothing is free. */
export function inputPlans(ports: readonly TensorPort[]): InputPlan[] {
  const free = ports.some((port) => port.shape.slice(1).some(isFree))
  const whole = ports.some((port) => port.type?.includes('int'))
  const limits = whole ? INTEGER_LIMITS : INTEGER_LIMITS.slice(0, 1)
  const sizes = free ? IMAGE_SIZES.map((image_size, at) => ({ image_size, sequence_size: SEQUENCE_SIZES[at] ?? 1 })) : undefined
  return limits.flatMap((integer_limit) =>
    (sizes ?? [{ image_size: 1, sequence_size: 1 }]).map((size) => ({ ...size, integer_limit })),
  )
}

/**
 * Shape of one row: a free first dimension and every dimension of the same symbol is 1 (the batch), other free ones as planned.
 * `shapes` are the caller's, by input name, and win.
 */
function rowShape(port: TensorPort, batch_symbols: ReadonlySet<string>, plan: InputPlan, shapes: ShapeHints = {}): number[] {
  const wanted = Object.hasOwn(shapes, port.name) ? shapes[port.name] : undefined
  if (wanted) return wanted
  const size = port.shape.length >= 4 ? plan.image_size : plan.sequence_size
  return port.shape.map((dim, axis) => {
    if (!isFree(dim) && typeof dim === 'number') return dim
    return axis === 0 || batch_symbols.has(String(dim)) ? 1 : size
  })
}
export type ShapeHints = Record<string, number[]>

const batchSymbols = (ports: readonly TensorPort[]): Set<string> =>
  new Set(ports.flatMap((port) => (typeof port.shape[0] === 'string' && port.shape[0] !== '' ? [port.shape[0]] : [])))

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Normal numbers, mean 0 and variance 1 (Box–Muller), each correlated with the one before by `smoothness`. */
function normals(random: () => number, smoothness: number): () => number {
  const fresh = Math.sqrt(1 - smoothness ** 2)
  let last = 0
  return () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random()))
    last = smoothness * last + fresh * radius * Math.cos(2 * Math.PI * random())
    return last
  }
}

/** The value of one integer or boolean element, by what inputs of that name mean in exported models. */
function wholeNumber(name: string, random: () => number, limit: number): number {
  if (/mask/i.test(name)) return 1
  if (/token_type|segment/i.test(name)) return 0
  return Math.floor(random() * limit)
}

function generate(port: TensorPort, dims: number[], random: () => number, plan: InputPlan, smoothness: number): TensorValue {
  const type = port.type ?? 'none'
  const width = elementBytes(type)
  if (width === undefined)
    throw new RunFault(
      'model_error',
      `Input ${port.name} is of type ${type}, for which no values can be generated; supply calibration data`,
    )
  const count = elementCount(dims)
  const view = new DataView(new ArrayBuffer(count * width))
  const normal = normals(random, smoothness)
  const whole = () => wholeNumber(port.name, random, type === 'bool' ? 2 : plan.integer_limit)
  for (let at = 0; at < count; at += 1) setElement(view, at * width, type, type.startsWith('float') ? normal() : whole())
  return { type, dims, bytes: new Uint8Array(view.buffer) }
}

export function setElement(view: DataView, offset: number, type: string, value: number): void {
  if (type === 'float32') view.setFloat32(offset, value, true)
  else if (type === 'float64') view.setFloat64(offset, value, true)
  else if (type === 'float16') view.setFloat16(offset, value, true)
  else if (type === 'int64' || type === 'uint64') view.setBigInt64(offset, BigInt(Math.trunc(value)), true)
  else if (type === 'int32' || type === 'uint32') view.setInt32(offset, value, true)
  else if (type === 'int16' || type === 'uint16') view.setInt16(offset, value, true)
  else view.setInt8(offset, value)
}

/** One row of made-up inputs, the same for the same seed; odd seeds are smooth along the last axis, even ones white noise. */
export function generatedRow(ports: readonly TensorPort[], plan: InputPlan, seed: number, shapes: ShapeHints = {}): Feeds {
  const symbols = batchSymbols(ports)
  const random = seededRandom(seed * 7919 + 1)
  const smoothness = seed % 2 ? SMOOTHNESS : 0
  return Object.fromEntries(
    ports.map((port) => [port.name, generate(port, rowShape(port, symbols, plan, shapes), random, plan, smoothness)]),
  )
}
