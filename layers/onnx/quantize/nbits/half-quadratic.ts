import { type BlockForm, type BlockWeights, codeOf, type Grid, mostOf, SMALLEST_SCALE } from './blocks.ts'
import { gridOf, quantizeBlocks } from './round-to-nearest.ts'

/** Exponent of the error's norm: below 1 a few large errors cost little, so outliers do not stretch the grid. */
const NORM = 0.7
const BETA = 10
const BETA_GROWTH = 1.01
const ROUNDS = 20

/**
 * One block by half-quadratic quantization: splits the error off by a shrinkage operator and solves for the zero point in closed
 * form, in turns (Badri and Shaji, "Half-Quadratic Quantization of Large Machine Learning Models", 2023; lp norm with p = 0.7).
 * The zero point is then rounded, because MatMulNBits stores it as a code, and the scale fitted to the codes by least squares.
 * Answers whichever of start and end has the smaller lp error.
 */
export function halfQuadraticGrid(values: Float32Array, form: BlockForm): Grid {
  const most = mostOf(form.bits)
  const start = gridOf(values, form, false)
  if (form.symmetric) return better(values, start, fitted(values, start, most), most)
  let zero = start.zero
  let beta = BETA
  for (let round = 0; round < ROUNDS; round++, beta *= BETA_GROWTH) {
    let sum = 0
    for (const value of values) {
      // In units of one step, so that the shrinkage means the same for weights of any size.
      const steps = value / start.scale
      const code = codeOf(value, { scale: start.scale, zero }, most)
      const error = steps - (code - zero)
      const kept = error === 0 ? 0 : Math.max(0, Math.abs(error) - Math.abs(error) ** (NORM - 1) / beta)
      sum += code - (steps - Math.sign(error) * kept)
    }
    zero = sum / values.length
  }
  const rounded = { scale: start.scale, zero: Math.max(0, Math.min(most, Math.round(zero))) }
  return better(values, start, fitted(values, rounded, most), most)
}

/** The same codes with the scale of least squares: Σ x·(q − z) ÷ Σ (q − z)². */
function fitted(values: Float32Array, grid: Grid, most: number): Grid {
  let [dot, square] = [0, 0]
  for (const value of values) {
    const step = codeOf(value, grid, most) - grid.zero
    dot += value * step
    square += step * step
  }
  const scale = square > 0 ? dot / square : grid.scale
  return { scale: scale > SMALLEST_SCALE ? scale : grid.scale, zero: grid.zero }
}

const normError = (values: Float32Array, grid: Grid, most: number): number => {
  let error = 0
  for (const value of values) error += Math.abs(value - (codeOf(value, grid, most) - grid.zero) * grid.scale) ** NORM
  return error
}

const better = (values: Float32Array, a: Grid, b: Grid, most: number): Grid =>
  normError(values, b, most) < normError(values, a, most) ? b : a

/** A [rows, columns] matrix by half-quadratic quantization; needs no data. */
export const halfQuadratic = (matrix: Float32Array, rows: number, columns: number, form: BlockForm): BlockWeights =>
  quantizeBlocks(matrix, rows, columns, form, (values) => halfQuadraticGrid(values, form))
