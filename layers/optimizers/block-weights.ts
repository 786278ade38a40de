import * as z from 'zod'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defineOptimizer } from '../core/ports/optimizer.ts'

const Settings = z.strictObject({
  bits: z.union([z.literal(4), z.literal(8)]),
  block_size: z.number().int(),
  algorithm: z.enum(['rtn', 'hqq']),
})
export type Settings = z.output<typeof Settings>

/** Smallest first: blocks of 128 are fastest where one row at a time is computed, blocks of 32 most exact. */
const FORMS: readonly Settings[] = [
  { bits: 4, block_size: 32, algorithm: 'hqq' },
  { bits: 4, block_size: 32, algorithm: 'rtn' },
  { bits: 4, block_size: 128, algorithm: 'rtn' },
  { bits: 8, block_size: 32, algorithm: 'rtn' },
]

/** Made only where it is asked for: the activations stay floats, so what it gains depends on how many rows are computed at once. */
export const blockWeights = defineOptimizer({
  name: 'block-weights',
  method: 'quantization',
  summary: 'Weights of products and embeddings in blocks of 4 or 8 bits, activations as they were: a sixth of the bytes',
  module: import.meta.url,
  precisions: ['int4'],
  on_request: true,
  settings: Settings,
  suits(summary: Inspection): JsonObject[] | string {
    if (summary.format !== 'onnx') return `Wanted an ONNX model, got ${summary.format}`
    const fitting = ['MatMul', 'Gemm', 'Gather'].some((operator) => (summary.operators?.[operator] ?? 0) > 0)
    return fitting ? [...FORMS] : 'The model has no MatMul, Gemm or Gather, whose weights could be stored in blocks'
  },
  async apply({ settings, ...paths }) {
    // Loaded here: the host and every function know this row too, and must carry neither the compiler nor the runtime for it.
    const { applyBlockWeights } = await import('./apply-block-weights.ts')
    return applyBlockWeights({ ...paths, settings: Settings.parse(settings) })
  },
})
