import type { ModelProto } from '../codec/schema.ts'
import { type Feeds, sameShape, type TensorValue } from '../evaluate/tensors.ts'
import { mainGraph } from '../graph/walk.ts'
import type { FloatValue } from './rows.ts'
import { openTruncated } from './truncated.ts'

/** Samples run together at most, and the bytes of one input that they may have: inner values are many times larger. */
const MOST_TOGETHER = 32
const MOST_BYTES = 128 * 1024
/** Kernels add in another order for more rows. */
const TOLERANCE = 1e-3

/**
 * The samples, several to a feed where the model treats each row of a batch by itself: its inputs leave the first dimension free, and two
 * samples together give the answers that each of them gives alone. Small networks run several times faster so.
 */
export async function inBatches(model: ModelProto, samples: readonly Feeds[]): Promise<readonly Feeds[]> {
  const [first, second] = samples
  if (!first || !second || !isFree(model)) return samples
  const size = Math.min(MOST_TOGETHER, ...Object.values(first).map((value) => Math.floor(MOST_BYTES / bytesOf(value))))
  if (size < 2 || !samples.every((sample) => isAlike(sample, first)) || !(await areIndependent(model, first, second)))
    return samples
  return Array.from({ length: Math.ceil(samples.length / size) }, (_, at) => joined(samples.slice(at * size, (at + 1) * size)))
}

const bytesOf = (value: TensorValue): number => ('bytes' in value ? Math.max(1, value.bytes.length) : Number.POSITIVE_INFINITY)

const isFree = (model: ModelProto): boolean =>
  mainGraph(model).input.every((input) => {
    const [batch] = input.type?.tensor_type?.shape?.dim ?? []
    return batch !== undefined && batch.dim_value === undefined
  })

const isAlike = (sample: Feeds, first: Feeds): boolean =>
  Object.entries(first).every(([name, value]) => value.dims[0] === 1 && sameShape(value, sample[name]))

const joined = (samples: readonly Feeds[]): Feeds =>
  Object.fromEntries(
    Object.entries(samples[0] ?? {}).map(([name, { type, dims }]): [string, TensorValue] => {
      const parts = samples.flatMap((sample) => (sample[name] && 'bytes' in sample[name] ? [sample[name].bytes] : []))
      return [name, { type, dims: [samples.length, ...dims.slice(1)], bytes: Buffer.concat(parts) }]
    }),
  )

async function areIndependent(model: ModelProto, first: Feeds, second: Feeds): Promise<boolean> {
  const names = mainGraph(model).output.map(({ name }) => name ?? '')
  const part = await openTruncated(model, names)
  try {
    const [a, b, both] = [await part.run(first), await part.run(second), await part.run(joined([first, second]))]
    return names.every((name) => isBoth(a.get(name), b.get(name), both.get(name)))
  } catch {
    // Shapes that were exported for one sample alone.
    return false
  } finally {
    await part.release()
  }
}

const isBoth = (a: FloatValue | undefined, b: FloatValue | undefined, both: FloatValue | undefined): boolean => {
  if (!a || !b || both?.dims[0] !== 2 || both.values.length !== a.values.length + b.values.length) return false
  const largest = both.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  return both.values.every(
    (value, at) =>
      Math.abs(value - (at < a.values.length ? a.values[at]! : b.values[at - a.values.length]!)) <= TOLERANCE * largest,
  )
}
