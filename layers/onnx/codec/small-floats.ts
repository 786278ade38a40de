/**
 * The 8- and 4-bit floating-point codes of ONNX as numbers.
 * Source: ONNX, "Float stored in 8 bits" and "Float stored in 4 bits" (docs/technical); OCP 8-bit Floating Point Specification 1.0
 * and Microscaling Formats 1.0; the two FNUZ types: Noune et al., 8-bit Numerical Formats for Deep Neural Networks (2022).
 */
import { DataType } from './data-types.ts'

interface Layout {
  bits: number
  fraction_bits: number
  bias: number
  /** Which codes are no numbers, by magnitude (sign cut off) and whole code. */
  special?: (magnitude: number, code: number) => number | undefined
}

const negativeZeroIsNaN = (_magnitude: number, code: number): number | undefined => (code === 0x80 ? Number.NaN : undefined)

const layouts = new Map<number, Layout>([
  [
    DataType.FLOAT8E4M3FN,
    { bits: 8, fraction_bits: 3, bias: 7, special: (magnitude) => (magnitude === 0x7f ? Number.NaN : undefined) },
  ],
  [DataType.FLOAT8E4M3FNUZ, { bits: 8, fraction_bits: 3, bias: 8, special: negativeZeroIsNaN }],
  [
    DataType.FLOAT8E5M2,
    {
      bits: 8,
      fraction_bits: 2,
      bias: 15,
      special: (magnitude) => (magnitude < 0x7c ? undefined : magnitude === 0x7c ? Number.POSITIVE_INFINITY : Number.NaN),
    },
  ],
  [DataType.FLOAT8E5M2FNUZ, { bits: 8, fraction_bits: 2, bias: 16, special: negativeZeroIsNaN }],
  [DataType.FLOAT4E2M1, { bits: 4, fraction_bits: 1, bias: 1 }],
])

const decoded = ({ bits, fraction_bits, bias, special }: Layout, code: number): number => {
  const magnitude = code & (2 ** (bits - 1) - 1)
  const sign = code >> (bits - 1) === 0 ? 1 : -1
  const told = special?.(magnitude, code)
  if (told !== undefined) return sign * told
  const exponent = magnitude >> fraction_bits
  const fraction = (magnitude & (2 ** fraction_bits - 1)) / 2 ** fraction_bits
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias))
}

/** What each code of the type stands for; undefined for types that are none of these. FLOAT8E8M0 holds powers of two alone. */
export const smallFloatValues = (data_type: number): Float32Array | undefined => {
  if (data_type === DataType.FLOAT8E8M0)
    return Float32Array.from({ length: 256 }, (_, code) => (code === 255 ? Number.NaN : 2 ** (code - 127)))
  const layout = layouts.get(data_type)
  return layout && Float32Array.from({ length: 2 ** layout.bits }, (_, code) => decoded(layout, code))
}
