import { readModelFile } from '../codec/read-model.ts'
import type { ModelProto } from '../codec/schema.ts'
import type { Feeds } from '../evaluate/tensors.ts'
import { addSample, emptyStatistics, type TensorStatistics } from './statistics.ts'
import { eachTap, type TapOptions } from './tap.ts'
import { entropyRange, mseRange, percentileRange, type Range } from './thresholds.ts'

/** `min_max`: all that was seen. `moving_average`: mean ends of the samples. `percentile`, `mse`, `entropy`: rare values are clipped. */
export type CalibrationMethod = 'min_max' | 'moving_average' | 'percentile' | 'mse' | 'entropy'

export interface RangeOptions {
  method: CalibrationMethod
  /** Of `percentile`: per cent of values inside; 99.999 unless told. */
  percentile?: number
  /** Ends of the same size on both sides of 0 (ONNX Runtime's CalibTensorRangeSymmetric). */
  symmetric?: boolean
}

export interface TensorRange extends Range {
  type: string
  /** Shape in the last sample. */
  dims: number[]
  /** What was seen before anything was clipped. */
  observed: Range
}

export interface ObserveOptions extends TapOptions {
  /** Values whose largest magnitude is also wanted by position on the last axis. */
  channels?: ReadonlySet<string>
}

/**
 * Statistics of every value (or those named) over the samples, in one tapped run: types, shapes, ends and histograms, from which
 * any method derives its ranges. Runs in this process, which for foreign models must be one that may die.
 * @throws OnnxFault unsupported when a sample does not run
 */
export async function observe(
  model: ModelProto,
  samples: readonly Feeds[],
  options: ObserveOptions = {},
): Promise<Map<string, TensorStatistics>> {
  const all = new Map<string, TensorStatistics>()
  await eachTap(
    model,
    samples,
    (name, tensor) => {
      const statistics = all.get(name) ?? emptyStatistics(tensor.type)
      all.set(name, statistics)
      const values = tensor.type === 'float32' && tensor.data instanceof Float32Array ? { values: tensor.data } : {}
      addSample(statistics, { type: tensor.type, dims: tensor.dims, ...values }, options.channels?.has(name) ?? false)
    },
    options,
  )
  return all
}

function rangeOf(statistics: TensorStatistics, options: RangeOptions): Range {
  const observed = { min: statistics.min, max: statistics.max }
  switch (options.method) {
    case 'min_max':
      return observed
    case 'moving_average':
      return { min: statistics.moving_min, max: statistics.moving_max }
    case 'percentile':
      return percentileRange(statistics.histogram, observed, options.percentile ?? 99.999)
    case 'mse':
      return mseRange(statistics.histogram, observed)
    case 'entropy':
      return entropyRange(statistics.histogram, observed)
  }
}

/** Ranges by one method for every float value that was ever finite. */
export function rangesOf(all: ReadonlyMap<string, TensorStatistics>, options: RangeOptions): Map<string, TensorRange> {
  const ranges = new Map<string, TensorRange>()
  for (const [name, statistics] of all) {
    if (statistics.samples === 0) continue
    const { type, dims, min, max } = statistics
    const range = rangeOf(statistics, options)
    const size = Math.max(Math.abs(range.min), Math.abs(range.max))
    ranges.set(name, { ...(options.symmetric ? { min: -size, max: size } : range), type, dims, observed: { min, max } })
  }
  return ranges
}

/**
 * Ranges of a model's values over samples (named feeds, one or more rows each), for static quantization.
 * @throws what `observe` throws, and what reading the model throws
 */
export const calibrate = async (
  model_path: string,
  samples: readonly Feeds[],
  options: RangeOptions & ObserveOptions,
): Promise<Map<string, TensorRange>> => rangesOf(await observe(readModelFile(model_path), samples, options), options)
