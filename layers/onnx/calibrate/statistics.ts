import { addToHistogram, emptyHistogram, type Histogram } from './histogram.ts'

/** ONNX Runtime's `CalibMovingAverageConstant`: how much one more sample moves the average. */
const MOVING_SHARE = 0.01

/** What was seen of one value over all samples. Everything but `type` and `dims` speaks of finite float32 elements only. */
export interface TensorStatistics {
  /** As onnxruntime names it, e.g. `float32`. */
  type: string
  /** Shape in the last sample. */
  dims: number[]
  samples: number
  /** Infinity and −Infinity until a finite float came. */
  min: number
  max: number
  /** Averages of each sample's ends, later samples weighing 1 %. */
  moving_min: number
  moving_max: number
  histogram: Histogram
  /** Largest magnitude by position on the last axis, where asked for. */
  channel_peaks?: Float32Array
}

export const emptyStatistics = (type: string): TensorStatistics => ({
  type,
  dims: [],
  samples: 0,
  min: Number.POSITIVE_INFINITY,
  max: Number.NEGATIVE_INFINITY,
  moving_min: 0,
  moving_max: 0,
  histogram: emptyHistogram(),
})

function addChannels(statistics: TensorStatistics, values: Float32Array, channels: number): void {
  const peaks = statistics.channel_peaks
  if (peaks === undefined || peaks.length !== channels) statistics.channel_peaks = new Float32Array(channels)
  const into = statistics.channel_peaks!
  for (let at = 0; at < values.length; at++) {
    const size = Math.abs(values[at]!)
    const channel = at % channels
    if (size > into[channel]! && size !== Number.POSITIVE_INFINITY) into[channel] = size
  }
}

export interface Sample {
  type: string
  dims: readonly number[]
  /** Absent for anything but float32, whose type and shape are all that is noted. */
  values?: Float32Array
}

/** Adds one sample's value, in one pass for the ends and one for the histogram. */
export function addSample(statistics: TensorStatistics, sample: Sample, channels: boolean): void {
  statistics.type = sample.type
  statistics.dims = [...sample.dims]
  const { values } = sample
  if (!values) return
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  for (let at = 0; at < values.length; at++) {
    const value = values[at]!
    if (value < min && value !== Number.NEGATIVE_INFINITY) min = value
    if (value > max && value !== Number.POSITIVE_INFINITY) max = value
  }
  if (min > max) return
  const share = statistics.samples === 0 ? 1 : MOVING_SHARE
  statistics.moving_min += share * (min - statistics.moving_min)
  statistics.moving_max += share * (max - statistics.moving_max)
  statistics.samples++
  statistics.min = Math.min(statistics.min, min)
  statistics.max = Math.max(statistics.max, max)
  addToHistogram(statistics.histogram, values, Math.max(Math.abs(min), Math.abs(max)))
  if (channels) addChannels(statistics, values, sample.dims.at(-1) ?? 1)
}
