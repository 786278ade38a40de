/**
 * Weights by rows of output channels, cut into blocks along the summed axis, one scale and zero point per block: the form of
 * com.microsoft.MatMulNBits and GatherBlockQuantized. value ≈ (q − zero) · scale, q and zero in 0 … 2^bits − 1.
 */
export interface BlockForm {
  bits: 4 | 8
  /** Elements per block: a power of two, 16 or more. */
  block_size: number
  /** The zero point is the middle of the range and is not stored. */
  symmetric: boolean
}

export interface BlockWeights extends BlockForm {
  /** Output channels (N), and elements of each (K). */
  rows: number
  columns: number
  /** [rows, columns], one element per entry. */
  codes: Uint8Array
  /** [rows, blocks]. */
  scales: Float32Array
  /** [rows, blocks]. */
  zeros: Uint8Array
}

export const blocksOf = (columns: number, block_size: number): number => Math.ceil(columns / block_size)
export const mostOf = (bits: 4 | 8): number => 2 ** bits - 1
export const middleOf = (bits: 4 | 8): number => 2 ** (bits - 1)

export const emptyBlocks = (rows: number, columns: number, form: BlockForm): BlockWeights => {
  const blocks = blocksOf(columns, form.block_size)
  return {
    ...form,
    rows,
    columns,
    codes: new Uint8Array(rows * columns).fill(middleOf(form.bits)),
    scales: new Float32Array(rows * blocks).fill(1),
    zeros: new Uint8Array(rows * blocks).fill(middleOf(form.bits)),
  }
}

/** Scale and zero point of one block. */
export interface Grid {
  scale: number
  zero: number
}

export const codeOf = (value: number, { scale, zero }: Grid, most: number): number =>
  Math.max(0, Math.min(most, Math.round(value / scale + zero)))

/** A scale below this would divide to infinity; such a block is zero for all purposes. */
export const SMALLEST_SCALE = 1e-30

/** The floats that the codes stand for, [rows, columns]. */
export function dequantizeBlocks(weights: BlockWeights): Float32Array {
  const { rows, columns, block_size, codes, scales, zeros } = weights
  const blocks = blocksOf(columns, block_size)
  const values = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const block = row * blocks + Math.floor(column / block_size)
      values[row * columns + column] = (codes[row * columns + column]! - zeros[block]!) * scales[block]!
    }
  return values
}

/**
 * Codes as MatMulNBits stores them: [rows, blocks, block_size·bits/8], low half of a byte first, the last block filled up with
 * zero points, which stand for 0.
 */
export function packCodes({ rows, columns, block_size, bits, codes, zeros }: BlockWeights): Uint8Array<ArrayBuffer> {
  const blocks = blocksOf(columns, block_size)
  const per_byte = 8 / bits
  const row_bytes = (blocks * block_size) / per_byte
  const packed = new Uint8Array(rows * row_bytes)
  for (let row = 0; row < rows; row++)
    for (let at = 0; at < blocks * block_size; at++) {
      const code = at < columns ? codes[row * columns + at]! : zeros[row * blocks + Math.floor(at / block_size)]!
      packed[row * row_bytes + Math.floor(at / per_byte)]! |= code << ((at % per_byte) * bits)
    }
  return packed
}

/** Zero points as MatMulNBits stores them: each row's start a new byte. */
export function packZeros({ rows, columns, block_size, bits, zeros }: BlockWeights): Uint8Array<ArrayBuffer> {
  const blocks = blocksOf(columns, block_size)
  const per_byte = 8 / bits
  const row_bytes = Math.ceil(blocks / per_byte)
  const packed = new Uint8Array(rows * row_bytes)
  for (let row = 0; row < rows; row++)
    for (let block = 0; block < blocks; block++)
      packed[row * row_bytes + Math.floor(block / per_byte)]! |= zeros[row * blocks + block]! << ((block % per_byte) * bits)
  return packed
}
