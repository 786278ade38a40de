import { cholesky, choleskySolve } from './cholesky.ts'
import { applyMap, crossProduct, type Rows } from './gram.ts'

export interface Fit {
  /** [outputs, inputs]: what to add to the weights. */
  weights: Float64Array
  /** [outputs]: what to add to the bias. */
  intercept: Float64Array
  /** Error energy of rows that were not used for the fit, before and after. */
  before: number
  after: number
  ridge: number
}

/** Shares of the mean diagonal tried as ridge. */
const RIDGES = [1e-5, 1e-3, 1e-2, 1e-1, 1]
/** Multiplications of one substitution from which on two ridges must do: a second each. */
const COSTLY = 3e8
const FEW_RIDGES = [1e-3, 1e-1]
/** Every such share of the rows, from the end, judges the fit. */
const HELD_OUT = 0.2

const meansOf = ({ values, width }: Rows): Float64Array => {
  const sums = new Float64Array(width)
  for (let at = 0; at < values.length; at++) sums[at % width]! += values[at]!
  return sums.map((sum) => sum / Math.max(1, values.length / width))
}

const centred = ({ values, width }: Rows, means: Float64Array): Rows => ({
  values: values.map((value, at) => value - means[at % width]!),
  width,
})

const part = ({ values, width }: Rows, from: number, to: number): Rows => ({
  values: values.subarray(from * width, to * width),
  width,
})

/**
 * The linear map and intercept that explain `errors` [rows, outputs] from `inputs` [rows, inputs] best, pulled towards none by a
 * ridge that is chosen on the last fifth of the rows, which the fit does not see. With `intercept` false the map goes through 0.
 * Undefined when there are too few rows or no ridge lowers the error of the rows held out.
 * Solves (XᵀX + λ·mean diagonal·I)·W = XᵀE by Cholesky; sums in float32 blocks, all else in float64.
 */
export async function leastSquares(inputs: Rows, errors: Rows, options: { intercept: boolean }): Promise<Fit | undefined> {
  const rows = inputs.values.length / inputs.width
  const fitted = Math.floor(rows * (1 - HELD_OUT))
  if (fitted < 8 || rows - fitted < 2) return undefined
  const [x, e] = [part(inputs, 0, fitted), part(errors, 0, fitted)]
  const x_means = options.intercept ? meansOf(x) : new Float64Array(x.width)
  const e_means = options.intercept ? meansOf(e) : new Float64Array(e.width)
  const [cx, ce] = [centred(x, x_means), centred(e, e_means)]
  const gram = await crossProduct(cx, cx)
  const cross = await crossProduct(ce, cx)
  const held_x = centred(part(inputs, fitted, rows), x_means)
  const held_e = centred(part(errors, fitted, rows), e_means)
  const before = energyOf(part(errors, fitted, rows).values)
  let best: Fit | undefined
  for (const ridge of x.width ** 2 * e.width > COSTLY ? FEW_RIDGES : RIDGES) {
    const weights = solveRidge(gram, cross, x.width, ridge)
    const after = weights ? await residual(held_x, held_e, weights) : Number.POSITIVE_INFINITY
    if (!weights || !(after < (best?.after ?? before))) continue
    best = { weights, intercept: interceptOf(weights, x_means, e_means), before, after, ridge }
  }
  return best
}

function solveRidge(gram: Float64Array, cross: Float64Array, width: number, ridge: number): Float64Array | undefined {
  const matrix = gram.slice()
  let trace = 0
  for (let at = 0; at < width; at++) trace += gram[at * width + at]!
  for (let at = 0; at < width; at++) matrix[at * width + at]! += (ridge * trace) / width + Number.MIN_VALUE
  const factor = cholesky(matrix, width)
  if (!factor) return undefined
  const weights = cross.slice()
  choleskySolve(factor, weights)
  return weights
}

const interceptOf = (weights: Float64Array, x_means: Float64Array, e_means: Float64Array): Float64Array =>
  e_means.map((mean, output) => {
    let shift = 0
    for (let at = 0; at < x_means.length; at++) shift += weights[output * x_means.length + at]! * x_means[at]!
    return mean - shift
  })

const energyOf = (values: Float32Array): number => {
  let sum = 0
  for (const value of values) sum += value * value
  return sum
}

/** Error energy of rows without and with a map, both around the means that the fit saw. */
async function residual(inputs: Rows, errors: Rows, weights: Float64Array): Promise<number> {
  const { values } = await applyMap(inputs, weights)
  return energyOf(errors.values.map((error, at) => error - values[at]!))
}
