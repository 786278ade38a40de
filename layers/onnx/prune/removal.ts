import type { TensorProto } from '../codec/schema.ts'
import { tensorFloats } from '../codec/tensor-values.ts'
import { inverseOf } from '../linear-algebra/cholesky.ts'
import type { Moments } from './observe.ts'
import { type Parts, startSystem } from './shrinking-system.ts'

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
  const energy = Math.max(Number.MIN_VALUE, outputEnergy(matrix, { weights, width, each }))
  const system = startSystem({ inverse, weights, width, each })
  return {
    energy,
    // On average half of the positions are left, and of the inverse a triangle is kept.
    step_work: (width * (width / 2 + each)) / 2,
    cost: (root) => system.cost(places.get(root) ?? []),
    remove: (root) => system.takeOut(places.get(root) ?? []),
  }
}

/** Outputs that the energy is estimated from. */
const MOST_ENERGY_COLUMNS = 128

/** tr(Wᵀ·H·W), of an even sample of the columns where there are many: it only scales consumers against each other. */
function outputEnergy(matrix: Float64Array, { weights, width, each }: Pick<Parts, 'weights' | 'width' | 'each'>): number {
  const taken = Math.min(each, MOST_ENERGY_COLUMNS)
  const sample = new Float64Array(width * taken)
  for (let row = 0; row < width; row++)
    for (let at = 0; at < taken; at++) sample[row * taken + at] = weights[row * each + Math.floor((at * each) / taken)]!
  let energy = 0
  const sums = new Float64Array(taken)
  for (let row = 0; row < width; row++) {
    sums.fill(0)
    for (let column = 0; column < width; column++) {
      const product = matrix[row * width + column]!
      for (let at = 0; at < taken; at++) sums[at]! += product * sample[column * taken + at]!
    }
    for (let at = 0; at < taken; at++) energy += sums[at]! * sample[row * taken + at]!
  }
  return (energy * each) / taken
}
