/** An idx file (MNIST's format); type 8 is unsigned bytes. */
export const idxFile = (shape: readonly number[], data: Uint8Array, type = 8): Buffer => {
  const head = Buffer.alloc(4 + 4 * shape.length)
  head.set([0, 0, type, shape.length])
  for (const [axis, size] of shape.entries()) head.writeUInt32BE(size, 4 + 4 * axis)
  return Buffer.concat([head, data])
}

/** Little-endian float32 of an array of this shape. */
export const floatRows = (shape: readonly number[], value: (at: number) => number = (at) => at): Uint8Array =>
  new Uint8Array(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, at) => value(at)).buffer)
