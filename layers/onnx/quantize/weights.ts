/**
 * Symmetric int8 weights. `s8`: −127…127; `u8`: the same around 128; `s7`: −64…64 in s8, which cannot saturate the int16 sums
 * of AVX2's `vpmaddubsw` (255·64·2 < 2^15).
 */
export type WeightType = 's8' | 'u8' | 's7'

export interface QuantizedWeights {
  /** Row-major, [rows, columns]; zero is `zeroPoint(type)`. */
  values: Int8Array | Uint8Array
  /** One per column or per row; value ≈ scale · (q − zero point). Never zero. */
  scales: Float32Array
}

export const zeroPoint = (type: WeightType): number => (type === 'u8' ? 128 : 0)
const largest = (type: WeightType): number => (type === 's7' ? 64 : 127)
const hold = (type: WeightType, size: number): Int8Array | Uint8Array =>
  type === 'u8' ? new Uint8Array(size) : new Int8Array(size)

/** Scales that map the largest magnitude of each group to the end of the range; 1 where a group is all zero. */
const scalesOf = (peaks: Float32Array, type: WeightType): Float32Array =>
  peaks.map((peak) => {
    const scale = peak / largest(type)
    // A scale that underflows to zero or a subnormal would divide to infinity; such a group is zero for all purposes.
    return scale > 1e-37 ? scale : 1
  })

/**
 * Rounding to the nearest by cutting off: numbers within ±127 and this are positive, and a cast to int32 is one instruction where
 * Math.round is several.
 */
const FLOOR = 128
const ABOVE_FLOOR = FLOOR + 0.5

function columnPeaks(values: Float32Array, columns: number): Float32Array {
  const peaks = new Float32Array(columns)
  for (let from = 0; from < values.length; from += columns)
    for (let column = 0, at = from; column < columns; column++, at++) {
      const size = Math.abs(values[at]!)
      if (size > peaks[column]!) peaks[column] = size
    }
  return peaks
}

function rowPeaks(values: Float32Array, rows: number): Float32Array {
  const width = rows === 0 ? 0 : values.length / rows
  const peaks = new Float32Array(rows)
  for (let row = 0, at = 0; row < rows; row++) {
    let peak = 0
    for (const end = at + width; at < end; at++) {
      const size = Math.abs(values[at]!)
      if (size > peak) peak = size
    }
    peaks[row] = peak
  }
  return peaks
}

const makeAlike = (peaks: Float32Array): Float32Array => peaks.fill(peaks.reduce((most, peak) => Math.max(most, peak), 0))

/** Whether every element is a finite number; others cannot be quantized. */
export const allFinite = (values: Float32Array): boolean => {
  let sum = 0
  for (let at = 0; at < values.length; at += 1) sum += (values[at] ?? 0) * 0
  return sum === 0
}

/**
 * A [rows, columns] matrix with one scale per column (the output channel of MatMul). `transposed`: the input is
 * [columns, rows], as Gemm with transB has it; the result is [rows, columns] all the same. `alike`: all scales are the largest.
 */
export function quantizeColumns(
  values: Float32Array,
  shape: { rows: number; columns: number; transposed: boolean; alike?: boolean },
  type: WeightType,
): QuantizedWeights {
  const { rows, columns, transposed, alike = false } = shape
  const peaks = transposed ? rowPeaks(values, columns) : columnPeaks(values, columns)
  if (alike) makeAlike(peaks)
  const scales = scalesOf(peaks, type)
  const inverse = scales.map((scale) => 1 / scale)
  const quantized = hold(type, rows * columns)
  const shift = zeroPoint(type) - FLOOR
  if (transposed) {
    for (let column = 0, from = 0; column < columns; column++) {
      const factor = inverse[column]!
      for (let at = column; at < quantized.length; at += columns, from++)
        quantized[at] = ((values[from]! * factor + ABOVE_FLOOR) | 0) + shift
    }
  } else {
    for (let from = 0; from < quantized.length; from += columns)
      for (let column = 0, at = from; column < columns; column++, at++)
        quantized[at] = ((values[at]! * inverse[column]! + ABOVE_FLOOR) | 0) + shift
  }
  return { values: quantized, scales }
}

/** A [rows, …] tensor with one scale per row: Conv's output channel, an embedding's token. `alike`: all scales are the largest. */
export function quantizeRows(values: Float32Array, rows: number, type: WeightType, alike = false): QuantizedWeights {
  const width = rows === 0 ? 0 : values.length / rows
  const peaks = rowPeaks(values, rows)
  if (alike) makeAlike(peaks)
  const scales = scalesOf(peaks, type)
  const shift = zeroPoint(type) - FLOOR
  const quantized = hold(type, values.length)
  for (let row = 0; row < rows; row += 1) {
    const inverse = 1 / scales[row]!
    const end = (row + 1) * width
    for (let at = row * width; at < end; at++) quantized[at] = ((values[at]! * inverse + ABOVE_FLOOR) | 0) + shift
  }
  return { values: quantized, scales }
}
