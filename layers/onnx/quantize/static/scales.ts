import type { ActivationType, StaticSettings, TensorOverride } from './settings.ts'

/** value ≈ scale · (q − zero_point), q within the type's 256 steps. */
export interface Scale {
  scale: number
  zero_point: number
  type: ActivationType
}

export const lowestOf = (type: ActivationType): number => (type === 'u8' ? 0 : -128)
export const highestOf = (type: ActivationType): number => (type === 'u8' ? 255 : 127)

/** The ends of what a scale can say. */
export const endsOf = ({ scale, zero_point, type }: Scale): { min: number; max: number } => ({
  min: (lowestOf(type) - zero_point) * scale,
  max: (highestOf(type) - zero_point) * scale,
})

/** The smallest scale that float32 holds without losing digits. */
const SMALLEST = 1e-37

/**
 * Scale and zero point for a range, which is widened to hold 0 exactly (padding and ReLU need it). Asymmetric uses all 256 steps.
 */
export function scaleFor(
  range: { min: number; max: number },
  settings: Pick<StaticSettings, 'activation_type' | 'activation_symmetric' | 'minimum_real_range'>,
  override: TensorOverride = {},
): Scale {
  const type = settings.activation_type
  let [min, max] = [Math.min(0, override.min ?? range.min), Math.max(0, override.max ?? range.max)]
  if (max - min < (settings.minimum_real_range ?? 0)) max = min + (settings.minimum_real_range ?? 0)
  const symmetric = override.symmetric ?? settings.activation_symmetric ?? false
  if (symmetric) [min, max] = [-Math.max(-min, max), Math.max(-min, max)]
  const steps = symmetric ? 254 : 255
  const scale = Math.fround(override.scale ?? (max - min) / steps)
  if (!(scale > SMALLEST) || !Number.isFinite(scale))
    return { scale: 1, zero_point: symmetric ? middleOf(type) : lowestOf(type), type }
  const zero = symmetric ? middleOf(type) : Math.round(lowestOf(type) - min / scale)
  return { scale, zero_point: override.zero_point ?? Math.max(lowestOf(type), Math.min(highestOf(type), zero)), type }
}

const middleOf = (type: ActivationType): number => (type === 'u8' ? 128 : 0)

/** Elements by one scale, rounded to nearest even as QuantizeLinear does, clipped at the ends. */
export function quantizeValues(values: Float32Array, { scale, zero_point, type }: Scale): Uint8Array | Int8Array {
  const out = type === 'u8' ? new Uint8Array(values.length) : new Int8Array(values.length)
  const [low, high] = [lowestOf(type), highestOf(type)]
  for (let at = 0; at < values.length; at++)
    out[at] = Math.max(low, Math.min(high, roundHalfEven(values[at]! / scale) + zero_point))
  return out
}

const roundHalfEven = (value: number): number => {
  const rounded = Math.round(value)
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}
