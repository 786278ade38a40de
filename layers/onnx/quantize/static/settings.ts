import type { TensorRange } from '../../calibrate/calibrate.ts'
import type { Gram } from '../nbits/gptq.ts'
import type { NodeChoice } from '../node-choice.ts'
import type { WeightType } from '../weights.ts'
import type { AxisWeights } from './weight.ts'

/** 8-bit integers that activations become; `u8` is what x86 kernels are fast with. */
export type ActivationType = 'u8' | 's8'

/** What one value gets instead of what its range says; ONNX Runtime's `TensorQuantOverrides`. */
export interface TensorOverride {
  scale?: number
  zero_point?: number
  min?: number
  max?: number
  symmetric?: boolean
  /** Of a stored weight only: one scale for all of it, or another type. */
  per_channel?: boolean
  weight_type?: WeightType
}

export interface StaticSettings extends NodeChoice {
  activation_type: ActivationType
  /** `s7` is ONNX Runtime's `reduce_range`. */
  weight_type: WeightType
  per_channel: boolean
  /** Zero in the middle of the range; costs half of it after ReLU. */
  activation_symmetric?: boolean
  /** Only products with a stored weight, not those of two computed values (attention). True unless told. */
  matmul_const_b_only?: boolean
  /** Biases as int32 with the scale of the sums. True unless told; without it products seldom fuse. */
  quantize_bias?: boolean
  /** Leaves ReLU and Clip in the graph also where the rounding does their work. */
  keep_removable_activations?: boolean
  /** Ranges are widened to this at least. */
  minimum_real_range?: number
  overrides?: Readonly<Record<string, TensorOverride>>
  /** By first output of a product, from `productGrams`: its weights are rounded in order (GPTQ), which 7-bit weights gain most by. */
  grams?: ReadonlyMap<string, Gram>
  /** Weights already rounded, by first output of their product: for candidates that differ only in their nodes. Filled on the way. */
  memo?: Map<string, AxisWeights>
  /** Weights with fewer elements stay floats. */
  min_elements?: number
}

export const defaultStaticSettings: StaticSettings = { activation_type: 'u8', weight_type: 'u8', per_channel: true }

/** By value name, from `calibrate`. */
export type Ranges = ReadonlyMap<string, Pick<TensorRange, 'min' | 'max'>>

export interface StaticReport {
  /** Nodes that compute in integers from now on, by operator. */
  quantized: Record<string, number>
  /** ReLU and Clip nodes that went away into the rounding. */
  absorbed: number
  /** Reason → nodes left alone. */
  left: Record<string, number>
}
