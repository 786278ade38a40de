import type { TensorProto } from '../codec/schema.ts'
import { seededRandom } from '../evaluate/inputs.ts'
import { makeTensor } from '../graph/build.ts'
import { product } from '../inspect/shape-arithmetic.ts'

/** Makes the stored tensors of a network that has not learned yet, the same for the same seed. */
export interface NewWeights {
  /** Normal numbers of variance 2 ÷ `fan_in`, which keep the size of signals through Relu (He et al., arXiv 1502.01852, §2.2). */
  drawn(name: string, dims: readonly number[], fan_in: number): TensorProto
  /** The same number everywhere. */
  filled(name: string, length: number, value: number): TensorProto
}

export const newWeights = (seed: number): NewWeights => {
  const random = seededRandom(seed)
  // Box–Muller.
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return {
    drawn(name, dims, fan_in) {
      const scale = Math.sqrt(2 / fan_in)
      return makeTensor(
        name,
        dims,
        Float32Array.from({ length: product(dims) }, () => normal() * scale),
      )
    },
    filled: (name, length, value) => makeTensor(name, [length], new Float32Array(length).fill(value)),
  }
}
