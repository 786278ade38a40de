/** Σ a[i]·b[i] of two runs of equal length, in four sums so that the processor need not wait for the last. */
function dot(a: Float64Array, a_at: number, b: Float64Array, b_at: number, length: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0]
  let at = 0
  for (const end = length - 3; at < end; at += 4) {
    s0 += a[a_at + at]! * b[b_at + at]!
    s1 += a[a_at + at + 1]! * b[b_at + at + 1]!
    s2 += a[a_at + at + 2]! * b[b_at + at + 2]!
    s3 += a[a_at + at + 3]! * b[b_at + at + 3]!
  }
  for (; at < length; at++) s0 += a[a_at + at]! * b[b_at + at]!
  return s0 + s1 + (s2 + s3)
}

/** Four products of one run `a` with runs of `b` that lie `step` apart, into `sums`: each number of `a` is fetched once. */
function dotFour(
  a: Float64Array,
  a_at: number,
  b: Float64Array,
  b_at: number,
  step: number,
  length: number,
  sums: Float64Array,
): void {
  let [s0, s1, s2, s3] = [0, 0, 0, 0]
  const [second, third, fourth] = [b_at + step, b_at + 2 * step, b_at + 3 * step]
  for (let at = 0; at < length; at++) {
    const value = a[a_at + at]!
    s0 += value * b[b_at + at]!
    s1 += value * b[second + at]!
    s2 += value * b[third + at]!
    s3 += value * b[fourth + at]!
  }
  sums[0] = s0
  sums[1] = s1
  sums[2] = s2
  sums[3] = s3
}

/** A lower triangle L with L·Lᵀ = A, and its transpose, both row by row, so that either substitution reads runs. */
export interface CholeskyFactor {
  size: number
  lower: Float64Array
  upper: Float64Array
}

/**
 * Cholesky factor of a symmetric matrix [size, size], of which the lower triangle is read; undefined when it is not positive
 * definite. size³ ⁄ 6 multiplications. Source: Golub, Van Loan, Matrix Computations, §4.2 (row by row, four rows at a time).
 */
export function cholesky(matrix: Float64Array, size: number): CholeskyFactor | undefined {
  const lower = new Float64Array(size * size)
  const sums = new Float64Array(4)
  for (let first = 0; first < size; first += 4) {
    const rows = Math.min(4, size - first)
    for (let column = 0; column < first && rows === 4; column++) {
      dotFour(lower, column * size, lower, first * size, size, column, sums)
      const pivot = lower[column * size + column]!
      for (let row = 0; row < 4; row++) {
        const at = (first + row) * size + column
        lower[at] = (matrix[at]! - sums[row]!) / pivot
      }
    }
    for (let row = first; row < first + rows; row++)
      if (!finishRow(matrix, lower, size, row, rows === 4 ? first : 0)) return undefined
  }
  const upper = new Float64Array(size * size)
  for (let row = 0; row < size; row++)
    for (let column = 0; column <= row; column++) upper[column * size + row] = lower[row * size + column]!
  return { size, lower, upper }
}

/** The entries of one row from a column on, and its diagonal; false where that is no positive number. */
function finishRow(matrix: Float64Array, lower: Float64Array, size: number, row: number, from: number): boolean {
  const start = row * size
  for (let column = from; column < row; column++) {
    const sum = matrix[start + column]! - dot(lower, start, lower, column * size, column)
    lower[start + column] = sum / lower[column * size + column]!
  }
  const square = matrix[start + row]! - dot(lower, start, lower, start, row)
  if (!(square > 0) || square === Number.POSITIVE_INFINITY) return false
  lower[start + row] = Math.sqrt(square)
  return true
}

/** Solves A·x = b for every row b of `right` [rows, size], in place. size² multiplications each. */
export function choleskySolve(factor: CholeskyFactor, right: Float64Array): void {
  const { size } = factor
  const rows = right.length / size
  let row = 0
  for (; row + 4 <= rows; row += 4) solveFour(factor, right, row * size)
  for (; row < rows; row++) solveOne(factor, right, row * size)
}

/** Four rows of `right`, from place `first` on; where all are zero before entry `from`, the entries from there on. */
function solveFour({ size, lower, upper }: CholeskyFactor, right: Float64Array, first: number, from = 0): void {
  const sums = new Float64Array(4)
  for (let at = from; at < size; at++) {
    dotFour(lower, at * size + from, right, first + from, size, at - from, sums)
    const pivot = lower[at * size + at]!
    for (let row = 0; row < 4; row++) right[first + row * size + at] = (right[first + row * size + at]! - sums[row]!) / pivot
  }
  for (let at = size - 1; at >= from; at--) {
    dotFour(upper, at * size + at + 1, right, first + at + 1, size, size - at - 1, sums)
    const pivot = upper[at * size + at]!
    for (let row = 0; row < 4; row++) right[first + row * size + at] = (right[first + row * size + at]! - sums[row]!) / pivot
  }
}

function solveOne({ size, lower, upper }: CholeskyFactor, right: Float64Array, first: number): void {
  for (let at = 0; at < size; at++) {
    right[first + at] = (right[first + at]! - dot(lower, at * size, right, first, at)) / lower[at * size + at]!
  }
  for (let at = size - 1; at >= 0; at--) {
    const after = at + 1
    const sum = dot(upper, at * size + after, right, first + after, size - after)
    right[first + at] = (right[first + at]! - sum) / upper[at * size + at]!
  }
}

/**
 * The inverse of a symmetric positive definite matrix [size, size]; undefined when it is none. size³ ⁄ 2 multiplications: columns of the
 * unit matrix are zeros down to the diagonal, and what lies above it follows by symmetry.
 */
export function inverseOf(matrix: Float64Array, size: number): Float64Array | undefined {
  const factor = cholesky(matrix, size)
  if (!factor) return undefined
  const inverse = new Float64Array(size * size)
  for (let at = 0; at < size; at++) inverse[at * size + at] = 1
  let row = 0
  for (; row + 4 <= size; row += 4) solveFour(factor, inverse, row * size, row)
  for (; row < size; row++) solveOne(factor, inverse, row * size)
  for (let one = 0; one < size; one++)
    for (let other = 0; other < one; other++) inverse[one * size + other] = inverse[other * size + one]!
  return inverse
}
