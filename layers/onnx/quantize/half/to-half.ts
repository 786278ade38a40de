import { DataType } from '../../codec/data-types.ts'
import { floatToHalf } from '../../codec/half.ts'
import type { TensorProto } from '../../codec/schema.ts'
import { tensorFloats } from '../../codec/tensor-values.ts'
import { makeTensor } from '../../graph/build.ts'

/** The largest finite half, and the smallest above zero. */
export const MOST_HALF = 65504
const LEAST_HALF = 2 ** -24

export interface HalfTensor {
  tensor: TensorProto
  /** Elements beyond ±65504 that became the end of the range. */
  clamped: number
}

/**
 * A float tensor as FLOAT16, rounded to nearest even. Finite numbers beyond ±65504 become that end, tiny ones the smallest half
 * of their sign, as ONNX Runtime's converter does: an epsilon that becomes 0 divides by zero. Infinities and NaN stay.
 */
export function halfTensor(name: string, tensor: TensorProto): HalfTensor {
  const floats = tensorFloats(tensor)
  const bits = new Uint16Array(floats.length)
  let clamped = 0
  for (let at = 0; at < floats.length; at++) {
    const value = floats[at]!
    const size = Math.abs(value)
    if (size > MOST_HALF && size !== Number.POSITIVE_INFINITY) {
      clamped++
      bits[at] = floatToHalf(Math.sign(value) * MOST_HALF)
    } else bits[at] = floatToHalf(size > 0 && size < LEAST_HALF ? Math.sign(value) * LEAST_HALF : value)
  }
  return { tensor: makeTensor(name, tensor.dims, bits, DataType.FLOAT16), clamped }
}
