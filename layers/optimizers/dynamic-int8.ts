import * as z from 'zod'
import { gateOf, wishesOf } from '../core/domain/accuracy-gate.ts'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defineOptimizer } from '../core/ports/optimizer.ts'
import { type Int8Support, int8Support } from '../onnx/probe/isa.ts'

const Settings = z.strictObject({
  weight_type: z.enum(['s8', 'u8', 's7']),
  conv: z.enum(['none', 'dense', 'all']),
  gather: z.boolean(),
  /** Nodes whose error costs most stay floats, so that the outputs keep this SQNR. */
  hold_sqnr_db: z.number().optional(),
})
export type Settings = z.output<typeof Settings>

/**
 * Weight types worth trying, best first. Where the CPU sums int8 products without saturation, s8 is exact and fastest; on AVX2
 * alone full-range s8 loses 20 dB, so u8 (exact, a fifth slower) and 7-bit weights are measured against each other.
 */
const weightTypes = (support: Int8Support): Settings['weight_type'][] =>
  support === 'vnni' || support === 'arm' ? ['s8'] : ['u8', 's7']

/** What a candidate that holds an SQNR aims above the gate by: the gate is judged on more rows than the search looks at. */
const HEADROOM_DB = 1

/**
 * The ladder of candidates for a model with these operators on a machine with this int8 support: products alone, with the
 * convolutions, with those convolutions that the outputs bear, and for size alone with the depthwise ones.
 */
export function ladder(
  operators: Record<string, number>,
  asked: { small: boolean; sqnr_db: number },
  support: Int8Support,
): Settings[] {
  const products = ['MatMul', 'Gemm', 'Gather'].some((operator) => (operators[operator] ?? 0) > 0)
  const convolutions = (operators.Conv ?? 0) > 0
  const types = weightTypes(support)
  const with_dense = { weight_type: types[0] ?? 'u8', conv: 'dense' as const, gather: true }
  return [
    ...(products ? types.map((weight_type) => ({ weight_type, conv: 'none' as const, gather: true })) : []),
    ...(convolutions ? [with_dense, { ...with_dense, hold_sqnr_db: asked.sqnr_db + HEADROOM_DB }] : []),
    ...(convolutions && asked.small ? [{ ...with_dense, conv: 'all' as const }] : []),
  ]
}

export const dynamicInt8 = defineOptimizer({
  name: 'dynamic-int8',
  method: 'quantization',
  summary: 'Weights as int8 per channel, activations quantized at run time: a quarter of the bytes, no calibration needed',
  module: import.meta.url,
  precisions: ['int8'],
  settings: Settings,
  suits(summary: Inspection, asked): JsonObject[] | string {
    if (summary.format !== 'onnx') return `Wanted an ONNX model, got ${summary.format}`
    const { precision } = wishesOf(asked.metadata)
    if (precision !== undefined && !['int8', 'auto'].includes(precision)) return `Makes int8, asked for ${precision}`
    const small = asked.target_size_bytes !== null
    const candidates = ladder(summary.operators ?? {}, { small, sqnr_db: gateOf(asked.metadata).sqnr_db }, int8Support())
    return candidates.length > 0 ? candidates : 'The model has no MatMul, Gemm, Gather or Conv, whose weights could become int8'
  },
  async apply({ settings, ...paths }) {
    // Loaded here: the host and every function know this row too, and must carry neither the compiler nor the runtime for it.
    const { applyDynamicInt8 } = await import('./apply-dynamic-int8.ts')
    return applyDynamicInt8({ ...paths, settings: Settings.parse(settings) })
  },
})
