import { OnnxFault } from '../../fault.ts'
import { type BlockForm, type BlockWeights, blocksOf, codeOf, emptyBlocks, type Grid, mostOf } from './blocks.ts'
import { factorInPlace } from './factor.ts'
import { gridOf } from './round-to-nearest.ts'

/** Share of the mean diagonal added to the Hessian: the paper's with plenty of data, more where rows are few. */
const DAMPING = 0.01
/** Times inputs per row of data: with a tenth as many rows as inputs the moments say little, and all is rounded to nearest. */
const DAMPING_PER_SCARCITY = 0.1

/** Σ xᵀ·x over the rows a layer read, [inputs, inputs] row-major, and how many rows that were. */
export interface Gram {
  moments: Float64Array
  rows: number
}

/** Columns whose errors reach all later ones together: the order of memory accesses changes, the result does not. */
const LAZY_COLUMNS = 128

/**
 * Upper triangle A with A·Aᵀ = H, row-major (below it undefined): the Cholesky factor of H reversed in both axes, reversed. For weights off by e the
 * error of the outputs, e·H·eᵀ, is then Σ over columns k of (Σ over j ≤ k of e[j]·A[j,k])², one term per column in the order in which
 * they are rounded: each can be made as small as its own rounding allows. Same numbers as the paper's factor of H⁻¹, without
 * inverting (Chen et al., "The Geometry of LLM Quantization: GPTQ as Babai's Nearest Plane Algorithm", 2025).
 */
function orderedFactor({ moments, rows }: Gram, size: number): Float64Array {
  if (moments.length !== size * size)
    throw new OnnxFault('unsupported', `A Gram matrix of ${moments.length} entries does not fit ${size} inputs`)
  let trace = 0
  for (let at = 0; at < size; at++) trace += moments[at * size + at]!
  const mean = trace > 0 ? trace / size : 1
  const least = Math.max(DAMPING, (DAMPING_PER_SCARCITY * size) / Math.max(1, rows))
  for (const damping of [least, 10 * least]) {
    const hessian = moments.toReversed()
    for (let at = 0; at < size; at++) {
      const diagonal = at * size + at
      // An input that was never seen: its weights matter to nobody, but the factor must exist.
      hessian[diagonal] = (hessian[diagonal] === 0 ? mean : hessian[diagonal]!) + damping * mean
    }
    if (factorInPlace(hessian, size)) return hessian.reverse()
  }
  throw new OnnxFault(
    'unsupported',
    `The second moments of ${size} inputs have no Cholesky factor: they are not finite or not symmetric`,
  )
}

/** How weights are rounded in order. */
export interface Ordered {
  /** Largest code. */
  most: number
  /** Columns that share a grid. */
  block_size: number
  /** The grid of a block of a row, asked for when its first column is reached. `wishes`: what its weights would best be by then. */
  gridOf(row: number, block: number, wishes: () => Float32Array): Grid
}

/**
 * Codes of a matrix, rounded column after column: what each loses is made good by the columns still to come, as the inputs' second
 * moments tell. columns³ ⁄ 6 + rows · columns² ⁄ 2 multiplications: seconds for 3,000 columns.
 * @throws OnnxFault unsupported when the Gram matrix does not fit, or has no Cholesky factor
 */
export function roundInOrder(
  matrix: Float32Array,
  rows: number,
  columns: number,
  gram: Gram,
  ordered: Ordered,
): Uint8Array | Uint16Array {
  const factor = orderedFactor(gram, columns)
  const codes = ordered.most > 255 ? new Uint16Array(rows * columns) : new Uint8Array(rows * columns)
  const owed = new Float64Array(rows * columns)
  const stretch = Math.max(LAZY_COLUMNS, Math.min(columns, ordered.block_size))
  const errors = new Float64Array(stretch)
  for (let first = 0; first < columns; first += stretch) {
    const end = Math.min(columns, first + stretch)
    for (let row = 0; row < rows; row++) {
      const [from, to] = [row * columns, (row + 1) * columns]
      const line: Line = {
        row,
        values: matrix.subarray(from, to),
        owed: owed.subarray(from, to),
        codes: codes.subarray(from, to),
      }
      roundStretch(line, ordered, { factor, first, end, errors })
      for (let column = first; column < end; column++) {
        const error = errors[column - first]!
        const above = column * columns
        if (error !== 0) for (let later = end; later < columns; later++) line.owed[later]! += error * factor[above + later]!
      }
    }
  }
  return codes
}

/**
 * GPTQ (Frantar et al., 2022): weights in blocks, rounded in order, each block's grid by squared error when its first column is reached.
 * `gram`: of the layer's inputs, [columns, columns]. What `roundInOrder` throws.
 */
export function gptq(matrix: Float32Array, rows: number, columns: number, form: BlockForm, gram: Gram): BlockWeights {
  const weights = emptyBlocks(rows, columns, form)
  const blocks = blocksOf(columns, form.block_size)
  const codes = roundInOrder(matrix, rows, columns, gram, {
    most: mostOf(form.bits),
    block_size: form.block_size,
    gridOf(row, block, wishes) {
      const { scale, zero } = gridOf(wishes(), form, true)
      weights.scales[row * blocks + block] = scale
      weights.zeros[row * blocks + block] = zero
      return { scale: Math.fround(scale), zero }
    },
  })
  // No more than 8 bits each.
  weights.codes = codes instanceof Uint8Array ? codes : Uint8Array.from(codes)
  return weights
}

/** One row's weights and codes, and for each the errors before it, weighted by the factor's column. */
interface Line {
  row: number
  values: Float32Array
  owed: Float64Array
  codes: Uint8Array | Uint16Array
}

/** Rounds columns `first` to before `end` of one row; leaves each one's error. */
function roundStretch(
  line: Line,
  { most, block_size, gridOf: find }: Ordered,
  { factor, first, end, errors }: { factor: Float64Array; first: number; end: number; errors: Float64Array },
): void {
  const columns = line.values.length
  // A stretch that starts inside a block (blocks wider than the matrix) asks again for the same grid.
  let grid =
    first % block_size === 0 ? undefined : find(line.row, Math.floor(first / block_size), () => wishes(line, factor, first, end))
  for (let column = first; column < end; column++) {
    if (column % block_size === 0 || !grid)
      grid = find(line.row, column / block_size, () => wishes(line, factor, column, Math.min(columns, column + block_size)))
    const from = column * columns
    const code = codeOf(line.values[column]! + line.owed[column]! / factor[from + column]!, grid, most)
    line.codes[column] = code
    const error = line.values[column]! - (code - grid.zero) * grid.scale
    errors[column - first] = error
    for (let later = column + 1; later < end; later++) line.owed[later]! += error * factor[from + later]!
  }
}

/** What a block's weights would be if they could make good all earlier errors without being rounded themselves. */
function wishes({ values, owed }: Line, factor: Float64Array, first: number, end: number): Float32Array {
  const columns = values.length
  const owes = owed.slice(first, end)
  const wished = new Float32Array(end - first)
  for (let column = first; column < end; column++) {
    const from = column * columns
    const change = owes[column - first]! / factor[from + column]!
    wished[column - first] = values[column]! + change
    for (let later = column + 1; later < end; later++) owes[later - first]! -= change * factor[from + later]!
  }
  return wished
}
