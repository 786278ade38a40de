import * as z from 'zod'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defineOptimizer, type Expectation } from '../core/ports/optimizer.ts'
import { NodeOptions, QUANTIZER_MEMBERS, quantizerOptions, refusedOperators } from './node-options.ts'
import { expectedBytes, has, perBlock, type StoredAs } from './size-model.ts'

const Settings = z.strictObject({
  bits: z.union([z.literal(4), z.literal(8)]),
  block_size: z.number().int(),
  algorithm: z.enum(['rtn', 'hqq', 'gptq']),
  nodes: NodeOptions.optional(),
})
export type Settings = z.output<typeof Settings>

/** Smallest first: blocks of 128 are fastest where one row at a time is computed, blocks of 32 most exact. */
const FORMS: readonly Settings[] = [
  { bits: 4, block_size: 32, algorithm: 'hqq' },
  { bits: 4, block_size: 32, algorithm: 'rtn' },
  { bits: 4, block_size: 128, algorithm: 'rtn' },
  { bits: 8, block_size: 32, algorithm: 'rtn' },
]
/** Fitted to rows of the real kind (GPTQ), where there are some. */
const FITTED: Settings = { bits: 4, block_size: 32, algorithm: 'gptq' }

const OPERATORS = ['MatMul', 'Gemm', 'Gather']
/** Of the file: more cannot be told from the number of weights alone. */
const MOST_PADDING = 0.03
/** Wider blocks share a scale between more weights; fitted ones make good what others lost. */
const TYPICAL_DB = { eight: 35, four: 19, wide: 16, fitted: 21 }

const typical = ({ bits, block_size, algorithm }: Settings): number => {
  if (bits === 8) return TYPICAL_DB.eight
  if (algorithm === 'gptq') return TYPICAL_DB.fitted
  return block_size > 32 ? TYPICAL_DB.wide : TYPICAL_DB.four
}

/** Made only where it is asked for: the activations stay floats, so what it gains depends on how many rows are computed at once. */
export const blockWeights = defineOptimizer({
  name: 'block-weights',
  method: 'quantization',
  summary: 'Weights of products and embeddings in blocks of 4 or 8 bits, activations as they were: a sixth of the bytes',
  module: import.meta.url,
  precisions: ['int4'],
  on_request: true,
  settings: Settings,
  reads: QUANTIZER_MEMBERS,
  suits(summary: Inspection, asked): JsonObject[] | string {
    if (summary.format !== 'onnx') return `Wanted an ONNX model, got ${summary.format}`
    const options = quantizerOptions(asked.metadata)
    if (typeof options === 'string') return options
    const refused = refusedOperators(summary, options, OPERATORS)
    if (refused) return refused
    if (!has(summary, OPERATORS)) return 'The model has no MatMul, Gemm or Gather, whose weights could be stored in blocks'
    const products = has(summary, ['MatMul', 'Gemm'])
    const forms = asked.has_data && products ? [FITTED, ...FORMS] : FORMS
    return forms.map((form) => ({ ...form, ...(options.nodes ? { nodes: options.nodes } : {}) }))
  },
  expects(summary: Inspection, given: JsonObject): Expectation {
    const settings = Settings.parse(given)
    const { bits, block_size, nodes } = settings
    const stored: StoredAs = (name, weight) => (OPERATORS.includes(name) ? perBlock(weight, bits, block_size) : undefined)
    const size = expectedBytes(summary, stored, { Gemm: 1 })
    // Wide blocks at the end of a channel may be half empty, which only the shapes tell.
    const channels = OPERATORS.reduce((sum, operator) => sum + (summary.weights?.[operator]?.channels ?? 0), 0)
    const padding = block_size > 32 ? (channels * block_size * bits) / 8 : 0
    const size_bytes = size !== null && padding > MOST_PADDING * size ? null : size
    const least_bytes = nodes || size === null ? undefined : size
    return { size_bytes: nodes ? null : size_bytes, least_bytes, sqnr_db: typical(settings), family: `nbits${bits}` }
  },
  async apply({ settings, ...paths }) {
    // Loaded here: the host and every function know this row too, and must carry neither the compiler nor the runtime for it.
    const { applyBlockWeights } = await import('./apply-block-weights.ts')
    return applyBlockWeights({ ...paths, settings: Settings.parse(settings) })
  },
})
