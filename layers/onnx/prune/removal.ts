import type { TensorProto } from '../codec/schema.ts'
import { tensorFloats } from '../codec/tensor-values.ts'
import { inverseOf } from '../linear-algebra/cholesky.ts'
import type { Moments } from './observe.ts'

/** One consumer while channels are taken from it, the others making up for them as well as they can. */
export interface RemovalState {
  /** What the consumer's output loses when this class goes too: mean squared error summed over outputs. */
  cost(root: number): number
  remove(root: number): void
  /** Mean square of the consumer's outputs, summed up, before anything went. */
  energy: number
  /** Multiplications of one step. */
  step_work: number
}

/** Share of the mean diagonal added to E[a·aᵀ], which few samples leave singular. */
const DAMPING = 1e-2

/** E[a·aᵀ] (around the means when `centred`), damped. */
function hessian({ products, means, width }: Moments, centred: boolean): Float64Array {
  const matrix = Float64Array.from(products ?? [])
  let trace = 0
  for (let row = 0; row < width; row++) {
    if (centred) for (let column = 0; column < width; column++) matrix[row * width + column]! -= means[row]! * means[column]!
    trace += matrix[row * width + row]!
  }
  // A channel that never varied must not stop the others: the floor keeps the matrix positive.
  for (let at = 0; at < width; at++) matrix[at * width + at]! += (DAMPING * trace) / width + 1e-12
  return matrix
}

/** The weight as [positions, everything else]. */
function byPosition(tensor: TensorProto, axis: number): Float64Array {
  const values = tensorFloats(tensor)
  const size = tensor.dims[axis] ?? 1
  const inner = tensor.dims.slice(axis + 1).reduce((product, dim) => product * dim, 1)
  const each = values.length / size
  const result = new Float64Array(values.length)
  for (let at = 0; at < values.length; at++) {
    const outer = Math.floor(at / inner)
    result[(outer % size) * each + Math.floor(outer / size) * inner + (at % inner)] = values[at]!
  }
  return result
}

/** Starts taking channels from a consumer; undefined when what was seen does not determine anything. */
export function removalState(
  moments: Moments,
  centred: boolean,
  weight: TensorProto,
  axis: number,
  places: ReadonlyMap<number, number[]>,
): RemovalState | undefined {
  const { width } = moments
  const matrix = hessian(moments, centred)
  const inverse = inverseOf(matrix, width)
  if (!inverse) return undefined
  const weights = byPosition(weight, axis)
  const each = weights.length / width
  const parts: Parts = { inverse, weights, width, each }
  return {
    energy: Math.max(Number.MIN_VALUE, outputEnergy(matrix, parts)),
    step_work: width * (width + 2 * each),
    cost: (root) => blockCost(parts, places.get(root) ?? []),
    remove: (root) => takeOut(parts, places.get(root) ?? []),
  }
}

/** tr(Wᵀ·H·W). */
function outputEnergy(matrix: Float64Array, { weights, width, each }: Parts): number {
  let energy = 0
  const sums = new Float64Array(each)
  for (let row = 0; row < width; row++) {
    sums.fill(0)
    for (let column = 0; column < width; column++) {
      const product = matrix[row * width + column]!
      for (let at = 0; at < each; at++) sums[at]! += product * weights[column * each + at]!
    }
    for (let at = 0; at < each; at++) energy += sums[at]! * weights[row * each + at]!
  }
  return energy
}

interface Parts {
  inverse: Float64Array
  weights: Float64Array
  width: number
  each: number
}

/** The inverse of the block of H⁻¹ at these positions. */
function blockInverse({ inverse, width }: Parts, block: readonly number[]): Float64Array | undefined {
  const size = block.length
  const matrix = new Float64Array(size * size)
  block.forEach((row, i) => {
    block.forEach((column, j) => {
      matrix[i * size + j] = inverse[row * width + column]!
    })
  })
  return size === 1 ? (matrix[0]! > 0 ? Float64Array.of(1 / matrix[0]!) : undefined) : inverseOf(matrix, size)
}

/** tr(Wₛᵀ·B·Wₛ) for B the inverse of the block. */
function blockCost(parts: Parts, block: readonly number[]): number {
  const { weights, each } = parts
  const inner = blockInverse(parts, block)
  if (!inner) return 0
  let cost = 0
  block.forEach((row, i) => {
    block.forEach((column, j) => {
      let dot = 0
      for (let at = 0; at < each; at++) dot += weights[row * each + at]! * weights[column * each + at]!
      cost += dot * inner[i * block.length + j]!
    })
  })
  return cost
}

/** W ← W − H⁻¹[:, s]·B·Wₛ and H⁻¹ ← H⁻¹ − H⁻¹[:, s]·B·H⁻¹[s, :]: what is left makes up for the block. */
function takeOut(parts: Parts, block: readonly number[]): void {
  const { inverse, weights, width, each } = parts
  const inner = blockInverse(parts, block)
  if (!inner) return
  const size = block.length
  const old_weights = block.map((row) => weights.slice(row * each, (row + 1) * each))
  const old_rows = block.map((row) => inverse.slice(row * width, (row + 1) * width))
  for (let row = 0; row < width; row++) {
    for (let j = 0; j < size; j++) {
      let share = 0
      for (let i = 0; i < size; i++) share += old_rows[i]![row]! * inner[i * size + j]!
      if (share === 0) continue
      const [gone_weights, gone_row] = [old_weights[j]!, old_rows[j]!]
      for (let at = 0; at < each; at++) weights[row * each + at]! -= share * gone_weights[at]!
      for (let at = 0; at < width; at++) inverse[row * width + at]! -= share * gone_row[at]!
    }
  }
}
