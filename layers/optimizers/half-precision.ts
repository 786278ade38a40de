import * as z from 'zod'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defineOptimizer, type Expectation } from '../core/ports/optimizer.ts'
import { QUANTIZER_MEMBERS, quantizerOptions } from './node-options.ts'
import { expectedBytes } from './size-model.ts'

const Settings = z.strictObject({
  /** Weights are stored as halves and computed with as floats; else the arithmetic is in halves too. */
  weights_only: z.boolean(),
  /** Operators, and nodes by name or `/pattern/`, that stay float32. */
  op_block_list: z.array(z.string()).optional(),
  node_block_list: z.array(z.string()).optional(),
  /** False: inputs and outputs become float16 too. */
  keep_io_types: z.boolean().optional(),
})
export type Settings = z.output<typeof Settings>

/** A trained text recogniser keeps 45 dB with halves as weights, 40 dB when it computes in them. */
const TYPICAL_DB = { weights: 45, arithmetic: 40 }

/** Made only where it is asked for: on CPUs halves save bytes and hardly any time. */
export const halfPrecision = defineOptimizer({
  name: 'half-precision',
  method: 'quantization',
  summary: 'Weights, and where it pays the arithmetic, in float16: half of the bytes, 40 dB and more, no calibration needed',
  module: import.meta.url,
  precisions: ['fp16'],
  on_request: true,
  settings: Settings,
  reads: QUANTIZER_MEMBERS,
  suits(summary: Inspection, { metadata }): JsonObject[] | string {
    if (summary.format !== 'onnx') return `Wanted an ONNX model, got ${summary.format}`
    const options = quantizerOptions(metadata)
    if (typeof options === 'string') return options
    const { op_block_list, node_block_list, keep_io_types } = options
    const asked = { op_block_list, node_block_list, keep_io_types }
    const given = Object.fromEntries(
      Object.entries(asked).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    )
    // Which nodes compute in halves, and what callers exchange, is a question of arithmetic alone.
    return Object.keys(given).length > 0 ? [{ weights_only: false, ...given }] : [{ weights_only: true }, { weights_only: false }]
  },
  expects(summary: Inspection, given: JsonObject): Expectation {
    const { weights_only, op_block_list, node_block_list } = Settings.parse(given)
    const blocked = op_block_list !== undefined || node_block_list !== undefined
    const size_bytes = blocked
      ? null
      : expectedBytes(summary, (name, { elements }) => (name === 'other' ? undefined : 2 * elements))
    return {
      size_bytes,
      sqnr_db: weights_only ? TYPICAL_DB.weights : TYPICAL_DB.arithmetic,
      family: 'fp16',
      p50_share: weights_only ? 1 : 0.8,
    }
  },
  async apply({ settings, ...paths }) {
    // Loaded here: the host and every function know this row too, and must carry neither the compiler nor the runtime for it.
    const { applyHalfPrecision } = await import('./apply-half-precision.ts')
    return applyHalfPrecision({ ...paths, settings: Settings.parse(settings) })
  },
})
