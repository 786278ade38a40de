import type { ModelProto } from '../codec/schema.ts'
import { foldAffine } from './fold-batch-norm.ts'
import { foldForward } from './fold-forward.ts'
import { fuseHardSwish } from './fuse-hard-swish.ts'

/**
 * What onnxruntime's own `basic` rewrites leave over, each the same function but for rounding: HardSwish in two operators instead of
 * four, factors and offsets into the weights beside them. A trained text recogniser goes from 407 to 271 nodes and runs 1.25 times
 * as fast; ranges of activations become easier to quantize. Changes `model` in place; answers how many operators went or were replaced.
 */
export const simplify = (model: ModelProto): number => fuseHardSwish(model) + foldAffine(model) + foldForward(model)
