/** IEEE 754 binary16 and bfloat16 as bit patterns (uint16) ↔ float32. */

const words = new Uint32Array(1)
const floats = new Float32Array(words.buffer)

export const halfToFloat = (half: number): number => {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >> 10) & 0x1f
  const fraction = half & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

export const bfloatToFloat = (bits: number): number => {
  words[0] = bits << 16
  return floats[0]!
}

/** Rounds to nearest, ties to even; a number that is none stays none. */
export const floatToBfloat = (value: number): number => {
  floats[0] = value
  const bits = words[0]!
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
}

/** Rounds to nearest, ties to even; beyond 65504 becomes infinity, as a plain cast does. */
export const floatToHalf = (value: number): number => {
  floats[0] = value
  const bits = words[0]!
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude < 0x38800000) return sign | roundHalfEven(Math.abs(floats[0]) * 2 ** 24)
  const rebased = magnitude - 0x38000000
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13)
}

const roundHalfEven = (value: number): number => {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}
