import { eachTap } from '../calibrate/tap.ts'
import type { ModelProto } from '../codec/schema.ts'
import type { Feeds } from '../evaluate/tensors.ts'
import { crossProduct } from '../linear-algebra/gram.ts'
import type { Consumer } from './flow.ts'
import { axisRows, drawnRows, type FloatValue, joinRows } from './rows.ts'

/** What was seen of the channels that a consumer reads, by position on the axis that it sums up. */
export interface Moments {
  width: number
  means: Float64Array
  /** E[aᵢ·aⱼ], [width, width]; undefined where the axis is too long for it. */
  products: Float64Array | undefined
  /** E[aᵢ²]. */
  squares: Float64Array
}

/** Longer axes are judged channel by channel: their matrices would take minutes to invert. */
const MOST_WIDTH = 1024
const ROWS_PER_CHANNEL = 8
const FEWEST_ROWS = 2048
/** All rows of all consumers, as float32. */
const MOST_BYTES = 256 * 2 ** 20

/** Shapes of every value (or those named) in one run. */
export async function shapesOf(
  model: ModelProto,
  feeds: Feeds,
  names?: readonly string[],
): Promise<Map<string, readonly number[]>> {
  const shapes = new Map<string, readonly number[]>()
  await eachTap(model, [feeds], (name, { dims }) => void shapes.set(name, [...dims]), names ? { names } : {})
  return shapes
}

export const momentsKey = ({ input, input_axis }: Pick<Consumer, 'input' | 'input_axis'>): string => `${input_axis} ${input}`

/** Moments of what consumers read over the samples, by `momentsKey`; empty when there are no samples. */
export async function momentsOf(
  model: ModelProto,
  consumers: readonly Consumer[],
  samples: readonly Feeds[],
): Promise<Map<string, Moments>> {
  const moments = new Map<string, Moments>()
  if (samples.length === 0 || consumers.length === 0) return moments
  const wanted = new Map<string, Consumer[]>()
  for (const consumer of consumers) wanted.set(consumer.input, [...(wanted.get(consumer.input) ?? []), consumer])
  const seen = new Map<string, ReturnType<typeof axisRows>[]>()
  const room = MOST_BYTES / 4 / wanted.size
  await eachTap(
    model,
    samples,
    (name, { data, dims }, sample) => {
      if (!(data instanceof Float32Array)) return
      for (const key of new Set(wanted.get(name)?.map(momentsKey))) {
        const axis = Number(key.split(' ', 1)[0])
        const width = dims[axis] ?? 1
        const rows = Math.min(Math.max(FEWEST_ROWS, ROWS_PER_CHANNEL * width), room / width)
        const value: FloatValue = { values: data, dims }
        const drawn = drawnRows(data.length / width, Math.max(1, Math.ceil(rows / samples.length)), sample)
        seen.set(key, [...(seen.get(key) ?? []), axisRows(value, axis, drawn)])
      }
    },
    { names: [...wanted.keys()] },
  )
  for (const [key, parts] of seen) {
    moments.set(key, await momentsOfRows(joinRows(parts)))
    seen.delete(key)
  }
  return moments
}

async function momentsOfRows(rows: ReturnType<typeof joinRows>): Promise<Moments> {
  const { values, width } = rows
  const count = values.length / width
  const [means, squares] = [new Float64Array(width), new Float64Array(width)]
  for (let at = 0; at < values.length; at++) {
    means[at % width]! += values[at]! / count
    squares[at % width]! += values[at]! ** 2 / count
  }
  const products = width <= MOST_WIDTH ? (await crossProduct(rows, rows)).map((sum) => sum / count) : undefined
  return { width, means, products, squares }
}
