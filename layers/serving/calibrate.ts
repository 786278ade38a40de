import { sliced, stacked } from './batcher.ts'
import { elementCount, numericTypes, type TensorFacts, type WireTensor } from './datatypes.ts'
import type { ModelSession } from './session.ts'

/** A small deterministic generator (mulberry32): the same model is always probed with the same numbers. */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

const sampleData = (facts: TensorFacts, count: number, scale: number, next: () => number): Uint8Array | string[] => {
  if (facts.datatype === 'BYTES') return Array.from({ length: count }, () => 'a')
  const type = numericTypes[facts.datatype]
  const data = new Uint8Array(count * type.bytes)
  const view = type.view(data)
  for (let i = 0; i < count; i++) {
    const whole = next() < 0.5 ? 0 : 1
    if (view instanceof BigInt64Array || view instanceof BigUint64Array) view[i] = BigInt(whole)
    // 0x3c00 is 1.0 as FP16.
    else view[i] = type.kind === 'float' ? (next() * 2 - 1) * scale : type.kind === 'half' ? whole * 0x3c00 : whole
  }
  return data
}

/** Concrete input shapes, in the model's order, with one row where the first dimension is free. */
export type SampleShapes = readonly (readonly number[])[]

/** Made-up inputs of these shapes, with `rows` rows where the first dimension is free. */
export const sampleInputs = (
  inputs: readonly TensorFacts[],
  shapes: SampleShapes,
  rows: number,
  scale: number,
  seed: number,
): WireTensor[] => {
  const next = random(seed)
  return inputs.map((facts, position) => {
    const shape = facts.shape.map((dimension, i) => (i === 0 && dimension === -1 ? rows : (shapes[position]?.[i] ?? 1)))
    return { name: facts.name, datatype: facts.datatype, shape, data: sampleData(facts, elementCount(shape), scale, next) }
  })
}

/** Sizes tried for free dimensions: models refuse some (a convolution needs room). Larger ones would cost seconds. */
const freeSizes = [1, 16, 64, 224] as const
const probe_elements = 4_000_000

/** Some dimension besides the first is the caller's choice, so that only a real call tells what a run costs. */
export const isFlexible = (inputs: readonly TensorFacts[]): boolean => inputs.some(({ shape }) => shape.slice(1).includes(-1))

/** One run on made-up inputs; answers shapes that the model takes, or undefined when it took none. */
export const probe = async (session: ModelSession): Promise<SampleShapes | undefined> => {
  for (const free of isFlexible(session.inputs) ? freeSizes : [1]) {
    const shapes = session.inputs.map(({ shape }) =>
      shape.map((dimension, i) => (dimension !== -1 ? dimension : i === 0 ? 1 : free)),
    )
    if (free > 1 && shapes.some((shape) => elementCount(shape) > probe_elements)) return undefined
    const taken = await session.run(sampleInputs(session.inputs, shapes, 1, 1, 7)).then(
      () => true,
      () => false,
    )
    if (taken) return shapes
  }
  return undefined
}

const close = (a: WireTensor, b: WireTensor): boolean => {
  if (a.datatype !== b.datatype || `${a.shape}` !== `${b.shape}`) return false
  if (a.datatype === 'BYTES' || !(a.data instanceof Uint8Array) || !(b.data instanceof Uint8Array))
    return `${a.data}` === `${b.data}`
  const type = numericTypes[a.datatype]
  const [left, right] = [type.view(new Uint8Array(a.data)), type.view(new Uint8Array(b.data))]
  if (type.kind !== 'float') return left.every((value, i) => value === right[i])
  return left.every((value, i) => {
    const [x, y] = [Number(value), Number(right[i])]
    return Object.is(x, y) || Math.abs(x - y) <= 1e-5 + 1e-4 * Math.abs(x)
  })
}

/**
 * True when two calls give the same answers stacked as alone. A free first dimension does not promise it: it may be a sequence, and
 * dynamic quantisation takes one scale over the whole batch. The second call is 30 times larger so that a shared scale shows.
 */
export const batchIsHarmless = async (session: ModelSession, shapes: SampleShapes): Promise<boolean> => {
  if (!session.first_dimension_free) return false
  try {
    const calls = [sampleInputs(session.inputs, shapes, 1, 1, 11), sampleInputs(session.inputs, shapes, 1, 30, 13)]
    const together = await session.run(stacked(calls, 2))
    if (together.some(({ shape }) => shape[0] !== 2)) return false
    for (const [row, call] of calls.entries()) {
      const alone = await session.run(call)
      if (!alone.every((tensor, i) => close(tensor, sliced(together[i]!, row, 1, 2)))) return false
    }
    return true
  } catch {
    return false
  }
}

export interface CurvePoint {
  rows: number
  us_per_row: number
}

/** The row limit a curve speaks for: 1 unless batching saves a fifth, else the smallest batch within 3 % of the best. */
export const chooseBatchLimit = (curve: readonly CurvePoint[]): number => {
  const single = curve.find(({ rows }) => rows === 1)
  const best = Math.min(...curve.map(({ us_per_row }) => us_per_row))
  if (!single || best > single.us_per_row * 0.8) return 1
  return curve.find(({ us_per_row }) => us_per_row <= best * 1.03)?.rows ?? 1
}

const batch_rows = [1, 2, 4, 8, 16, 32] as const
/** No batch may hold a caller up longer than this. */
const longest_batch_us = 50_000

/** Times batches of growing size between calls (`idle`), for about `budget_ms` in all; the best of three runs counts. */
export const measureCurve = async (
  session: ModelSession,
  shapes: SampleShapes,
  idle: () => Promise<void>,
  budget_ms: number,
): Promise<CurvePoint[]> => {
  const curve: CurvePoint[] = []
  const started = performance.now()
  for (const rows of batch_rows) {
    const inputs = sampleInputs(session.inputs, shapes, rows, 1, 17)
    let best_us = Infinity
    for (let repeat = 0; repeat < 4; repeat++) {
      await idle()
      const at = performance.now()
      await session.run(inputs)
      best_us = Math.min(best_us, (performance.now() - at) * 1000)
    }
    if (best_us > longest_batch_us && rows > 1) break
    curve.push({ rows, us_per_row: best_us / rows })
    if (performance.now() - started > budget_ms) break
  }
  return curve
}
