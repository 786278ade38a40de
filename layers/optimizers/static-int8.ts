import * as z from 'zod'
import { gateOf } from '../core/domain/accuracy-gate.ts'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defineOptimizer, type Expectation } from '../core/ports/optimizer.ts'
import { supportOf } from './dynamic-int8.ts'
import { CALIBRATION_METHODS, int8Options, NodeOptions, QUANTIZER_MEMBERS } from './node-options.ts'
import { expectedBytes, has, isLarge, perChannel, type StoredAs } from './size-model.ts'

const Settings = z.strictObject({
  /** `products`: convolutions and products alone; `all`: what stands between them too, so that 8-bit numbers pass from one to the next. */
  operators: z.enum(['products', 'all']),
  /** `u8` on x64, `s8` where products of signed numbers are the fast ones. */
  activation_type: z.enum(['u8', 's8']),
  /** Absent: by measured SQNR. */
  weight_type: z.enum(['s8', 'u8', 's7']).optional(),
  calibration_method: z.enum(CALIBRATION_METHODS).optional(),
  per_channel: z.boolean().optional(),
  /** The fewest products stay floats so that the outputs keep this SQNR. */
  hold_sqnr_db: z.number().optional(),
  nodes: NodeOptions.optional(),
})
export type Settings = z.output<typeof Settings>

const PRODUCTS = ['Conv', 'MatMul', 'Gemm']
const NEEDS_DATA =
  'Static int8 takes the ranges of activations from data: supply calibration_data or evaluation_data (rows of the real kind)'
/** Of trained models: wake words and embeddings 25–40 dB, mobile convolutions with depthwise kernels and gates far less. */
const TYPICAL_DB = { plain: 31, mobile: 14 }
/** Everything between the products is rounded too. */
const ALL_OPERATORS_DB = 1
/** Large models are fitted for minutes: dynamic int8, which is as exact, is tried before. */
const AFTER_DB = 3
const HEADROOM_DB = 1
/** QuantizeLinear and DequantizeLinear of the value, DequantizeLinear of weight and bias. */
const ADDED_NODES = { Conv: 4, MatMul: 4, Gemm: 4 }

function expects(summary: Inspection, given: JsonObject): Expectation {
  const { operators, hold_sqnr_db, nodes } = Settings.parse(given)
  const taken = [...PRODUCTS, 'DepthwiseConv']
  const stored: StoredAs = (name, weight) => (taken.includes(name) ? perChannel(weight) + weight.channels : undefined)
  const size = expectedBytes(summary, stored, ADDED_NODES)
  const mobile = (summary.weights?.DepthwiseConv?.elements ?? 0) > 0
  const sqnr_db =
    hold_sqnr_db ??
    TYPICAL_DB[mobile ? 'mobile' : 'plain'] - (operators === 'all' ? ALL_OPERATORS_DB : 0) - (isLarge(summary) ? AFTER_DB : 0)
  return { size_bytes: nodes ? null : size, sqnr_db, family: 'static-int8' }
}

export const staticInt8 = defineOptimizer({
  name: 'static-int8',
  method: 'quantization',
  summary:
    'Weights and activations as int8 with ranges fitted to supplied rows: a quarter of the bytes, fastest for convolutions',
  module: import.meta.url,
  precisions: ['int8'],
  settings: Settings,
  reads: QUANTIZER_MEMBERS,
  suits(summary: Inspection, asked): JsonObject[] | string {
    const options = int8Options(summary, asked.metadata, PRODUCTS)
    if (typeof options === 'string') return options
    if (!has(summary, PRODUCTS)) return `The model has none of ${PRODUCTS.join(', ')}, which could compute in int8`
    if (asked.has_data !== true) return NEEDS_DATA
    const support = supportOf(asked)
    const exact = support === 'arm' || support === 'vnni'
    const { weight_type = exact ? ('s8' as const) : undefined, calibration_method, per_channel, nodes } = options
    const activation_type = options.activation_type ?? (support === 'arm' ? 's8' : 'u8')
    const given = { weight_type, calibration_method, per_channel, nodes }
    const form = {
      activation_type,
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    }
    const hold_sqnr_db = gateOf(asked.metadata).sqnr_db + HEADROOM_DB
    return [
      { operators: 'all', ...form },
      ...(nodes?.op_types_to_quantize ? [] : [{ operators: 'products', ...form }]),
      { operators: 'all', ...form, hold_sqnr_db },
    ]
  },
  expects,
  async apply({ settings, ...paths }) {
    // Loaded here: the host and every function know this row too, and must carry neither the compiler nor the runtime for it.
    const { applyStaticInt8 } = await import('./apply-static-int8.ts')
    return applyStaticInt8({ ...paths, settings: Settings.parse(settings) })
  },
})
