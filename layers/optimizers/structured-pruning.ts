import * as z from 'zod'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defineOptimizer } from '../core/ports/optimizer.ts'

const structures = ['structured', 'channels', 'heads', 'unstructured', '2:4'] as const
const Settings = z.strictObject({
  /** Share of channels, neurons or heads (or of weights, when unstructured) to remove. */
  sparsity: z.number().gt(0).lt(1),
  structure: z.enum(structures),
  /** Row shapes for generated inputs, as the measurement uses them. */
  input_shapes: z.record(z.string(), z.array(z.number().int().min(1))).optional(),
})

export type Settings = z.output<typeof Settings>

/** Members of metadata that this method reads; others are the caller's or the platform's. */
const Asked = z.object({
  sparsity: z.number().gt(0).lt(1).optional(),
  structure: z.enum(structures).optional(),
  input_shapes: Settings.shape.input_shapes,
})

/** Without a wish: mildest first, since each step costs fidelity. */
const LADDER = [0.25, 0.5, 0.75, 0.9]
const OPERATORS = ['MatMul', 'Gemm', 'Conv', 'ConvTranspose']

export const structuredPruning = defineOptimizer({
  name: 'structured-pruning',
  method: 'pruning',
  summary:
    'Whole channels, neurons and attention heads go, the layers after them are fitted by least squares: smaller and faster on any CPU',
  module: import.meta.url,
  settings: Settings,
  suits(summary: Inspection, { metadata }): JsonObject[] | string {
    if (summary.format !== 'onnx') return `Wanted an ONNX model, got ${summary.format}`
    const asked = Asked.safeParse(metadata)
    if (!asked.success)
      return `metadata.${asked.error.issues[0]?.path.join('.')} is not usable: ${asked.error.issues[0]?.message}`
    const { sparsity, structure = 'structured', input_shapes } = asked.data
    if (!OPERATORS.some((operator) => (summary.operators?.[operator] ?? 0) > 0))
      return `The model has none of ${OPERATORS.join(', ')}, whose channels could go`
    const sparsities = structure === '2:4' ? [0.5] : sparsity === undefined ? LADDER : [sparsity]
    return sparsities.map((each) => ({ sparsity: each, structure, ...(input_shapes ? { input_shapes } : {}) }))
  },
  async apply({ settings, ...paths }) {
    // Loaded here: the host and every function know this row too, and must carry neither the compiler nor the runtime for it.
    const { applyStructuredPruning } = await import('./apply-structured-pruning.ts')
    return applyStructuredPruning({ ...paths, settings: Settings.parse(settings) })
  },
})
