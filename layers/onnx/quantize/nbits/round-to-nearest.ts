import {
  type BlockForm,
  type BlockWeights,
  blocksOf,
  codeOf,
  emptyBlocks,
  type Grid,
  middleOf,
  mostOf,
  SMALLEST_SCALE,
} from './blocks.ts'

/** Parts of a block's range tried by clipping; below 70 % the cut-off values always cost more than the finer steps save. */
const SHARES = [1, 0.96, 0.92, 0.88, 0.84, 0.8, 0.76, 0.72]

/** The grid that spans a block's values and 0, both ends drawn in by `share`. */
function spanning(values: Float32Array, form: BlockForm, share: number): Grid {
  let [min, max] = [0, 0]
  for (const value of values) {
    if (value < min) min = value
    if (value > max) max = value
  }
  const [most, middle] = [mostOf(form.bits), middleOf(form.bits)]
  if (form.symmetric) {
    // The side with the larger magnitude gets the extra code: 8 below the middle, 7 above.
    const scale = (Math.abs(min) > max ? min / -middle : max / (most - middle)) * share
    return { scale: scale > SMALLEST_SCALE ? scale : 1, zero: middle }
  }
  const scale = ((max - min) / most) * share
  if (!(scale > SMALLEST_SCALE)) return { scale: 1, zero: middle }
  return { scale, zero: Math.max(0, Math.min(most, Math.round((-min * share) / scale))) }
}

export function squaredError(values: Float32Array, grid: Grid, most: number): number {
  let error = 0
  for (const value of values) error += (value - (codeOf(value, grid, most) - grid.zero) * grid.scale) ** 2
  return error
}

/**
 * The grid of one block: its whole range, or with `clip` that part of it with the least squared error (OCTAV's idea by trial:
 * Sakr et al., "Optimal Clipping and Magnitude-aware Differentiation", 2022).
 */
export function gridOf(values: Float32Array, form: BlockForm, clip: boolean): Grid {
  const most = mostOf(form.bits)
  let best = spanning(values, form, 1)
  if (!clip) return best
  let least = squaredError(values, best, most)
  const options = form.symmetric ? [form] : [form, { ...form, symmetric: true }]
  for (const option of options)
    for (const share of SHARES) {
      const grid = spanning(values, option, share)
      const error = squaredError(values, grid, most)
      if (error < least) [best, least] = [grid, error]
    }
  return best
}

/** How the grid of a block is found. */
export type FindGrid = (values: Float32Array) => Grid

/** Quantizes a [rows, columns] matrix, block by block, each value to the nearest code of the grid that `find` chooses. */
export function quantizeBlocks(
  matrix: Float32Array,
  rows: number,
  columns: number,
  form: BlockForm,
  find: FindGrid,
): BlockWeights {
  const weights = emptyBlocks(rows, columns, form)
  const blocks = blocksOf(columns, form.block_size)
  const most = mostOf(form.bits)
  for (let row = 0; row < rows; row++)
    for (let block = 0; block < blocks; block++) {
      const from = row * columns + block * form.block_size
      const to = row * columns + Math.min(columns, (block + 1) * form.block_size)
      const found = find(matrix.subarray(from, to))
      // The file holds float32: codes are for the scale that will be read.
      const grid = { scale: Math.fround(found.scale), zero: found.zero }
      weights.scales[row * blocks + block] = grid.scale
      weights.zeros[row * blocks + block] = grid.zero
      for (let at = from; at < to; at++) weights.codes[at] = codeOf(matrix[at]!, grid, most)
    }
  return weights
}

/** Round to nearest (RTN), with clipping by squared error unless told otherwise. */
export const roundToNearest = (matrix: Float32Array, rows: number, columns: number, form: BlockForm, clip = true): BlockWeights =>
  quantizeBlocks(matrix, rows, columns, form, (values) => gridOf(values, form, clip))
