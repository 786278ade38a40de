/** 4- and 2-bit elements in bytes, lowest bits first, as onnx.proto stores INT4, UINT4, FLOAT4E2M1, INT2 and UINT2. */

/** One element per array entry, sign-extended when `signed`. */
export const unpackBits = (bytes: Uint8Array, bits: number, count: number, signed: boolean): Int8Array | Uint8Array => {
  const out = signed ? new Int8Array(count) : new Uint8Array(count)
  const per_byte = 8 / bits
  const mask = (1 << bits) - 1
  for (let index = 0; index < count; index++) {
    const code = (bytes[Math.floor(index / per_byte)]! >> ((index % per_byte) * bits)) & mask
    out[index] = signed ? (code << (32 - bits)) >> (32 - bits) : code
  }
  return out
}

/** The reverse; entries are cut to their low `bits`. */
export const packBits = (values: ArrayLike<number>, bits: number): Uint8Array<ArrayBuffer> => {
  const per_byte = 8 / bits
  const mask = (1 << bits) - 1
  const out = new Uint8Array(Math.ceil(values.length / per_byte))
  for (let index = 0; index < values.length; index++)
    out[Math.floor(index / per_byte)]! |= (values[index]! & mask) << ((index % per_byte) * bits)
  return out
}
