import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import { cholesky, choleskySolve, inverseOf } from '../../../layers/onnx/linear-algebra/cholesky.ts'
import { applyMap, crossProduct } from '../../../layers/onnx/linear-algebra/gram.ts'
import { leastSquares } from '../../../layers/onnx/linear-algebra/least-squares.ts'

const random = seededRandom(3)
const numbers = (count: number) => Float32Array.from({ length: count }, () => random() * 2 - 1)

/** A·Aᵀ + shift·I. */
const positive = (size: number, shift: number): Float64Array => {
  const factor = numbers(size * size)
  return Float64Array.from({ length: size * size }, (_, at) => {
    const [row, column] = [Math.floor(at / size), at % size]
    let sum = row === column ? shift : 0
    for (let k = 0; k < size; k++) sum += factor[row * size + k]! * factor[column * size + k]!
    return sum
  })
}

describe('Cholesky', () => {
  it.each([1, 2, 3, 5, 17, 64])('solves %i equations to the last digits', (size) => {
    const matrix = positive(size, 0.1)
    const wanted = Float64Array.from(numbers(size * 3))
    const right = new Float64Array(size * 3)
    for (let row = 0; row < 3; row++)
      for (let i = 0; i < size; i++)
        for (let j = 0; j < size; j++) right[row * size + i]! += matrix[i * size + j]! * wanted[row * size + j]!
    const factor = cholesky(matrix, size)
    expect(factor).toBeDefined()
    choleskySolve(factor!, right)
    right.forEach((value, at) => {
      expect(value).toBeCloseTo(wanted[at]!, 8)
    })
  })

  it('inverts, and finds what has no inverse', () => {
    const matrix = positive(12, 1)
    const inverse = inverseOf(matrix, 12)!
    for (let i = 0; i < 12; i++)
      for (let j = 0; j < 12; j++) {
        let sum = 0
        for (let k = 0; k < 12; k++) sum += matrix[i * 12 + k]! * inverse[k * 12 + j]!
        expect(sum).toBeCloseTo(i === j ? 1 : 0, 9)
      }
    for (const broken of [[0], [-1], [Number.NaN], [Number.POSITIVE_INFINITY], [1, 2, 2, 1]])
      expect(cholesky(Float64Array.from(broken), Math.sqrt(broken.length))).toBeUndefined()
  })
})

describe('products of rows', () => {
  it('are those of plain loops, over more rows than one product takes', async () => {
    const [rows, m, n] = [5000, 7, 3]
    const [left, right] = [numbers(rows * m), numbers(rows * n)]
    const product = await crossProduct({ values: left, width: m }, { values: right, width: n })
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let sum = 0
        for (let row = 0; row < rows; row++) sum += left[row * m + i]! * right[row * n + j]!
        expect(product[i * n + j]).toBeCloseTo(sum, 2)
      }
    const mapped = await applyMap(
      { values: left, width: m },
      Float64Array.from({ length: 2 * m }, (_, at) => (at < m ? 1 : at === m ? 2 : 0)),
    )
    expect(mapped.values[0]).toBeCloseTo(
      left.slice(0, m).reduce((sum, value) => sum + value, 0),
      5,
    )
    expect(mapped.values[1]).toBeCloseTo(2 * left[0]!, 5)
  })
})

describe('least squares', () => {
  const inputs = { values: numbers(2000 * 10), width: 10 }
  const map = Float64Array.from(numbers(4 * 10))

  it('finds the map and the intercept that made the numbers', async () => {
    const errors = await applyMap(inputs, map)
    for (let at = 0; at < errors.values.length; at++) errors.values[at]! += at % 4
    const fit = (await leastSquares(inputs, errors, { intercept: true }))!
    fit.weights.forEach((weight, at) => {
      expect(weight).toBeCloseTo(map[at]!, 3)
    })
    fit.intercept.forEach((value, at) => {
      expect(value).toBeCloseTo(at, 3)
    })
    expect(fit.after).toBeLessThan(1e-6 * fit.before)
  })

  it('explains nothing where there is nothing to explain, or too little to tell', async () => {
    const noise = { values: numbers(200 * 4), width: 4 }
    const wide = { values: numbers(200 * 150), width: 150 }
    const fit = await leastSquares(wide, noise, { intercept: false })
    // More unknowns than the rows can tell: only a heavy ridge may pass, and it may not make held-out rows worse.
    expect(fit?.after ?? 0).toBeLessThanOrEqual(fit?.before ?? 0)
    expect(fit?.ridge ?? 1).toBeGreaterThanOrEqual(0.1)
    const few = { values: numbers(6 * 4), width: 4 }
    expect(await leastSquares({ values: numbers(6 * 10), width: 10 }, few, { intercept: true })).toBeUndefined()
  })
})
