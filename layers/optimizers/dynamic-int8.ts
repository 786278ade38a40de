import * as z from 'zod'
import { gateOf } from '../core/domain/accuracy-gate.ts'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defineOptimizer, type Expectation, type OptimizationAsked } from '../core/ports/optimizer.ts'
import { type Int8Support, int8Support } from '../onnx/probe/isa.ts'
import { int8Options, NodeOptions, QUANTIZER_MEMBERS } from './node-options.ts'
import { expectedBytes, halved, perChannel, type StoredAs } from './size-model.ts'

const Settings = z.strictObject({
  weight_type: z.enum(['s8', 'u8', 's7']),
  conv: z.enum(['none', 'dense', 'all']),
  gather: z.boolean(),
  /** Nodes whose error costs most stay floats, so that the outputs keep this SQNR. */
  hold_sqnr_db: z.number().optional(),
  per_channel: z.boolean().optional(),
  /** Weights that stay floats are stored as halves, widened when the model is loaded. */
  rest_as_halves: z.boolean().optional(),
  /** What branches and loops carry stays floats (halves). */
  main_graph_only: z.boolean().optional(),
  /** Weights and biases are fitted to supplied rows. */
  fitted: z.boolean().optional(),
  nodes: NodeOptions.optional(),
})
export type Settings = z.output<typeof Settings>

const OPERATORS = ['MatMul', 'Gemm', 'Gather', 'Conv']

/** How the machine that will serve multiplies int8: what was asked for, else this one. */
export const supportOf = (asked: OptimizationAsked): Int8Support =>
  asked.int8 === 'vnni' || asked.int8 === 'arm' || asked.int8 === 'avx2' ? asked.int8 : int8Support()

/**
 * Weight types worth trying, best first. Where the CPU sums int8 products without saturation, s8 is exact and fastest; on AVX2
 * alone full-range s8 loses 20 dB, so u8 (exact, a fifth slower) and 7-bit weights are measured against each other.
 */
const weightTypes = (support: Int8Support): Settings['weight_type'][] =>
  support === 'vnni' || support === 'arm' ? ['s8'] : ['u8', 's7']

/** What a candidate that holds an SQNR aims above the gate by: the gate is judged on more rows than the search looks at. */
const HEADROOM_DB = 1

export interface LadderAsked {
  small: boolean
  sqnr_db: number
  weight_type?: Settings['weight_type'] | undefined
  /** Rows to fit with are supplied, and the model is small enough to be fitted in seconds. */
  can_fit?: boolean
}

/**
 * The ladder of candidates for a model with these operators on a machine with this int8 support: products alone, with the
 * convolutions, with those convolutions that the outputs bear, and for size alone with the depthwise ones.
 */
export function ladder(operators: Record<string, number>, asked: LadderAsked, support: Int8Support): Settings[] {
  const products = ['MatMul', 'Gemm', 'Gather'].some((operator) => (operators[operator] ?? 0) > 0)
  const convolutions = (operators.Conv ?? 0) > 0
  const types = asked.weight_type ? [asked.weight_type] : weightTypes(support)
  const form = { gather: true, rest_as_halves: true }
  const fitted = asked.can_fit ? { fitted: true } : {}
  const nested = ['If', 'Loop', 'Scan'].some((operator) => (operators[operator] ?? 0) > 0)
  const with_dense = { weight_type: types[0] ?? 'u8', conv: 'dense' as const, ...form }
  return [
    ...(products ? types.map((weight_type) => ({ weight_type, conv: 'none' as const, ...form, ...fitted })) : []),
    ...(products && nested
      ? types.map((weight_type) => ({ weight_type, conv: 'none' as const, ...form, ...fitted, main_graph_only: true }))
      : []),
    ...(convolutions ? [with_dense, { ...with_dense, hold_sqnr_db: asked.sqnr_db + HEADROOM_DB }] : []),
    ...(convolutions && asked.small ? [{ ...with_dense, conv: 'all' as const }] : []),
  ]
}

/** SQNR of trained models by form: text recognition, wake words, sentence embeddings. 7 bits cost a bit's 6 dB of the weights' part. */
const TYPICAL_DB = { none: 30, dense: 19, all: 12 }
const SEVEN_BITS_DB = 3
const FITTED_DB = 2
const MAIN_GRAPH_DB = 3
/** Of weights as floats: rounding more of them in order takes too long to be tried first. */
const MOST_FITTED_BYTES = 16 * 2 ** 20
/** DynamicQuantizeLinear, the integer product, Cast, two Mul and the bias; what an embedding gathers besides. */
const ADDED_NODES = { MatMul: 4, Gemm: 4, Gather: 3 }

function expects(summary: Inspection, given: JsonObject): Expectation {
  const { conv, gather, weight_type, hold_sqnr_db, rest_as_halves, main_graph_only, fitted, nodes } = Settings.parse(given)
  const taken = ['MatMul', 'Gemm', ...(gather ? ['Gather'] : []), ...(conv === 'none' ? [] : ['Conv'])]
  if (conv === 'all') taken.push('DepthwiseConv')
  const stored: StoredAs = (name, weight) => {
    if (taken.includes(name)) return perChannel(weight)
    return rest_as_halves ? halved(name, weight) : undefined
  }
  const known = hold_sqnr_db === undefined && !nodes && !main_graph_only
  const size_bytes = known ? expectedBytes(summary, stored, conv === 'none' ? ADDED_NODES : { ...ADDED_NODES, Conv: 7 }) : null
  const milder = (fitted ? FITTED_DB : 0) + (main_graph_only ? MAIN_GRAPH_DB : 0)
  const sqnr_db = hold_sqnr_db ?? TYPICAL_DB[conv] + milder - (weight_type === 's7' ? SEVEN_BITS_DB : 0)
  return { size_bytes, sqnr_db, family: 'dynamic-int8' }
}

export const dynamicInt8 = defineOptimizer({
  name: 'dynamic-int8',
  method: 'quantization',
  summary: 'Weights as int8 per channel, activations quantized at run time: a quarter of the bytes, no calibration needed',
  module: import.meta.url,
  precisions: ['int8'],
  settings: Settings,
  reads: QUANTIZER_MEMBERS,
  suits(summary: Inspection, asked): JsonObject[] | string {
    const options = int8Options(summary, asked.metadata, OPERATORS)
    if (typeof options === 'string') return options
    const { weight_type, per_channel, nodes } = options
    const bytes = Object.values(summary.weights ?? {}).reduce((sum, each) => sum + each.bytes, 0)
    const can_fit = asked.has_data === true && per_channel !== false && bytes > 0 && bytes <= MOST_FITTED_BYTES
    const wanted = { small: asked.target_size_bytes !== null, sqnr_db: gateOf(asked.metadata).sqnr_db, weight_type, can_fit }
    const candidates = ladder(summary.operators ?? {}, wanted, supportOf(asked))
    const extra = { ...(per_channel === undefined ? {} : { per_channel }), ...(nodes ? { nodes } : {}) }
    return candidates.length > 0
      ? candidates.map((each) => ({ ...each, ...extra }))
      : 'The model has no MatMul, Gemm, Gather or Conv, whose weights could become int8'
  },
  expects,
  async apply({ settings, ...paths }) {
    // Loaded here: the host and every function know this row too, and must carry neither the compiler nor the runtime for it.
    const { applyDynamicInt8 } = await import('./apply-dynamic-int8.ts')
    return applyDynamicInt8({ ...paths, settings: Settings.parse(settings) })
  },
})
