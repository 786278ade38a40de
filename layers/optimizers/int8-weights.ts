import * as z from 'zod'
import { gateOf, wishesOf } from '../core/domain/accuracy-gate.ts'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defineOptimizer, type Expectation } from '../core/ports/optimizer.ts'
import { int8Options, NodeOptions, QUANTIZER_MEMBERS } from './node-options.ts'
import { expectedBytes, halved, has, isLarge, perChannel, shareOf } from './size-model.ts'

const Settings = z.strictObject({
  /** Weights are rounded in order (GPTQ) by supplied rows, each making good what the others lost. */
  ordered: z.boolean(),
  /** As few weights with 10 or 12 bits as keep this SQNR. */
  hold_sqnr_db: z.number().optional(),
  /** As many weights with 10 or 12 bits, the most sensitive first, as fit a file of so many bytes. */
  most_bytes: z.number().int().optional(),
  input_shapes: z.record(z.string(), z.array(z.number().int().min(1))).optional(),
  nodes: NodeOptions.optional(),
})
export type Settings = z.output<typeof Settings>

const OPERATORS = ['MatMul', 'Gemm', 'Conv', 'Gather']
const STORED = [...OPERATORS, 'DepthwiseConv']
/** Of a trained text recogniser with convolutions, and of products alone. Rounded in order, and with more bits for what matters most. */
const TYPICAL_DB = { convolutions: 16, products: 36 }
const ORDERED_DB = 8
const FILLED_DB = 4
/** The gate is judged on more rows than the search looks at. */
const HEADROOM_DB = 1
/** A Cast and a Mul for each weight. */
const ADDED_NODES = { MatMul: 1.5, Gemm: 1.5, Conv: 1.5, Gather: 3 }

/** Rounding that many weights in order takes minutes: plain rounding is tried before. */
const AFTER_DB = 0.5

function expects(summary: Inspection, given: JsonObject): Expectation {
  const { ordered, hold_sqnr_db, most_bytes, nodes } = Settings.parse(given)
  const stored = (name: string, weight: Parameters<typeof perChannel>[0]): number | undefined => {
    if (!STORED.includes(name)) return halved(name, weight)
    return name === 'DepthwiseConv' && most_bytes === undefined ? 2 * weight.elements : perChannel(weight)
  }
  const size = expectedBytes(summary, stored, ADDED_NODES)
  const base = has(summary, ['Conv']) ? TYPICAL_DB.convolutions : TYPICAL_DB.products
  const sqnr_db = hold_sqnr_db ?? base + (ordered ? ORDERED_DB : 0) + (most_bytes === undefined ? 0 : FILLED_DB)
  const filled = most_bytes === undefined || size === null ? size : Math.max(size, Math.min(most_bytes, 2 * size))
  const known = { size_bytes: hold_sqnr_db !== undefined || nodes ? null : filled, p50_share: 1 }
  if (ordered && isLarge(summary))
    return { ...known, sqnr_db: base - AFTER_DB, family: 'int8-weights ordered', rescues: 'int8-weights' }
  return { ...known, sqnr_db, family: 'int8-weights' }
}

/** For size at no cost of time: what becomes integers is stored, not computed with. */
export const int8Weights = defineOptimizer({
  name: 'int8-weights',
  method: 'quantization',
  summary:
    'Weights stored as int8 and widened when the model is loaded: a quarter of the bytes, computed with as before, convolutions included',
  module: import.meta.url,
  precisions: ['int8'],
  settings: Settings,
  reads: QUANTIZER_MEMBERS,
  suits(summary: Inspection, asked): JsonObject[] | string {
    const options = int8Options(summary, asked.metadata, OPERATORS)
    if (typeof options === 'string') return options
    const { input_shapes } = wishesOf(asked.metadata)
    if (!has(summary, OPERATORS)) return `The model has none of ${OPERATORS.join(', ')}, whose weights could be stored as int8`
    const size = asked.target_size_bytes
    const extra = { ...(options.nodes ? { nodes: options.nodes } : {}), ...(input_shapes ? { input_shapes } : {}) }
    const ordered = asked.has_data === true
    // Products alone lose next to nothing this way; only convolutions leave a choice worth its time.
    const sensitive = shareOf(summary, ['Conv', 'DepthwiseConv']) > 0.05
    const held: JsonObject = size === null ? { hold_sqnr_db: gateOf(asked.metadata).sqnr_db + HEADROOM_DB } : { most_bytes: size }
    const plain = ordered && isLarge(summary) ? [{ ordered: false, ...extra }] : []
    return [...(sensitive ? [{ ordered, ...held, ...extra }] : []), ...plain, { ordered, ...extra }]
  },
  expects,
  async apply({ settings, ...paths }) {
    // Loaded here: the host and every function know this row too, and must carry neither the compiler nor the runtime for it.
    const { applyInt8Weights } = await import('./apply-int8-weights.ts')
    return applyInt8Weights({ ...paths, settings: Settings.parse(settings) })
  },
})
