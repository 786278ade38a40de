import type { Optimizer } from '../core/ports/optimizer.ts'
import { blockWeights } from './block-weights.ts'
import { distillation } from './distillation.ts'
import { dynamicInt8 } from './dynamic-int8.ts'
import { halfPrecision } from './half-precision.ts'
import { int8Weights } from './int8-weights.ts'
import { quantizationAwareTraining } from './quantization-aware-training.ts'
import { smoothInt8 } from './smooth-int8.ts'
import { staticInt8 } from './static-int8.ts'
import { structuredPruning } from './structured-pruning.ts'

/** Every method that comes with the platform; extensions are added in the composition. */
export const optimizers: readonly Optimizer[] = [
  dynamicInt8,
  staticInt8,
  int8Weights,
  smoothInt8,
  halfPrecision,
  blockWeights,
  structuredPruning,
  quantizationAwareTraining,
  distillation,
]
