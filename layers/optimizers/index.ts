import type { Optimizer } from '../core/ports/optimizer.ts'
import { blockWeights } from './block-weights.ts'
import { dynamicInt8 } from './dynamic-int8.ts'
import { halfPrecision } from './half-precision.ts'
import { structuredPruning } from './structured-pruning.ts'

/** Every method that comes with the platform; extensions are added in the composition. */
export const optimizers: readonly Optimizer[] = [dynamicInt8, halfPrecision, blockWeights, structuredPruning]
