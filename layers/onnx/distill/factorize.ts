import { seededRandom } from '../evaluate/inputs.ts'

/** Row-major matrix in double precision. */
export interface Matrix {
  rows: number
  columns: number
  data: Float64Array
}

export const matrixOf = (rows: number, columns: number, values: ArrayLike<number>): Matrix => ({
  rows,
  columns,
  data: Float64Array.from(values),
})

export const transposed = ({ rows, columns, data }: Matrix): Matrix => {
  const turned = new Float64Array(data.length)
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) turned[column * rows + row] = data[row * columns + column]!
  return { rows: columns, columns: rows, data: turned }
}

export const multiply = (a: Matrix, b: Matrix): Matrix => {
  const data = new Float64Array(a.rows * b.columns)
  for (let row = 0; row < a.rows; row++) {
    const out = data.subarray(row * b.columns, (row + 1) * b.columns)
    for (let inner = 0; inner < a.columns; inner++) {
      const factor = a.data[row * a.columns + inner]!
      if (factor === 0) continue
      const line = inner * b.columns
      for (let column = 0; column < out.length; column++) out[column]! += factor * b.data[line + column]!
    }
  }
  return { rows: a.rows, columns: b.columns, data }
}

/** Orthonormal columns spanning those of `m`: Gram–Schmidt, twice, which is enough (Giraud et al. 2005). Works on a transposed copy. */
const orthonormal = (m: Matrix): Matrix => {
  const turned = transposed(m)
  const width = turned.columns
  const line = (at: number): Float64Array => turned.data.subarray(at * width, (at + 1) * width)
  const dot = (a: Float64Array, b: Float64Array): number => {
    let sum = 0
    for (let at = 0; at < a.length; at++) sum += a[at]! * b[at]!
    return sum
  }
  for (let at = 0; at < turned.rows; at++) {
    const own = line(at)
    for (let pass = 0; pass < 2; pass++)
      for (let before = 0; before < at; before++) {
        const other = line(before)
        const share = dot(own, other)
        for (let each = 0; each < width; each++) own[each]! -= share * other[each]!
      }
    const length = Math.sqrt(dot(own, own))
    // A column that the others already span carries nothing.
    for (let each = 0; each < width; each++) own[each] = length > 1e-12 ? own[each]! / length : 0
  }
  return transposed(turned)
}

const POWER_ITERATIONS = 3

/**
 * `w` ≈ left·right with `rank` inner columns, within about a percent of the best such pair, and both factors of like magnitude.
 * Source: Halko, Martinsson and Tropp, Finding structure with randomness, arXiv 0909.4061, algorithms 4.4 and 5.1.
 */
export const factorized = (w: Matrix, rank: number, seed: number): { left: Matrix; right: Matrix } => {
  const random = seededRandom(seed)
  const probe = matrixOf(
    w.columns,
    rank,
    Float64Array.from({ length: w.columns * rank }, () => random() + random() + random() - 1.5),
  )
  const turned = transposed(w)
  let basis = orthonormal(multiply(w, probe))
  for (let round = 0; round < POWER_ITERATIONS; round++) basis = orthonormal(multiply(w, orthonormal(multiply(turned, basis))))
  const right = multiply(transposed(basis), w)
  for (let inner = 0; inner < rank; inner++) {
    let energy = 0
    for (let column = 0; column < w.columns; column++) energy += right.data[inner * w.columns + column]! ** 2
    const balance = Math.sqrt(Math.sqrt(energy)) || 1
    for (let column = 0; column < w.columns; column++) right.data[inner * w.columns + column]! /= balance
    for (let row = 0; row < w.rows; row++) basis.data[row * rank + inner]! *= balance
  }
  return { left: basis, right }
}
