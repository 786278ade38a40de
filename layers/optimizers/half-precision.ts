import * as z from 'zod'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defineOptimizer } from '../core/ports/optimizer.ts'

const Settings = z.strictObject({
  /** Weights are stored as halves and computed with as floats; else the arithmetic is in halves too. */
  weights_only: z.boolean(),
})
export type Settings = z.output<typeof Settings>

/** Made only where it is asked for: on CPUs halves save bytes and hardly any time. */
export const halfPrecision = defineOptimizer({
  name: 'half-precision',
  method: 'quantization',
  summary: 'Weights, and where it pays the arithmetic, in float16: half of the bytes, 40 dB and more, no calibration needed',
  module: import.meta.url,
  precisions: ['fp16'],
  on_request: true,
  settings: Settings,
  suits(summary: Inspection): JsonObject[] | string {
    if (summary.format !== 'onnx') return `Wanted an ONNX model, got ${summary.format}`
    return [{ weights_only: true }, { weights_only: false }]
  },
  async apply({ settings, ...paths }) {
    // Loaded here: the host and every function know this row too, and must carry neither the compiler nor the runtime for it.
    const { applyHalfPrecision } = await import('./apply-half-precision.ts')
    return applyHalfPrecision({ ...paths, settings: Settings.parse(settings) })
  },
})
