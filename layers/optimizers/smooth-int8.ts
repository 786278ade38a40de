import * as z from 'zod'
import { wishesOf } from '../core/domain/accuracy-gate.ts'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defineOptimizer, type Expectation } from '../core/ports/optimizer.ts'
import { supportOf } from './dynamic-int8.ts'
import { int8Options, NodeOptions, QUANTIZER_MEMBERS } from './node-options.ts'
import { expectedBytes, halved, has, isLarge, perChannel, type StoredAs, shareOf } from './size-model.ts'

const Settings = z.strictObject({
  weight_type: z.enum(['s8', 'u8', 's7']),
  input_shapes: z.record(z.string(), z.array(z.number().int().min(1))).optional(),
  nodes: NodeOptions.optional(),
})
export type Settings = z.output<typeof Settings>

const PRODUCTS = ['MatMul', 'Gemm']
/** What a normalisation looks like in a graph: as one operator, or written out. */
const NORMALISATIONS = ['LayerNormalization', 'ReduceMean', 'SimplifiedLayerNormalization']
const TYPICAL_DB = 31
/** Large models are fitted for minutes: where plain dynamic int8 does, nothing is. */
const AFTER_DB = 2
/** DynamicQuantizeLinear, the integer product, Cast and two Mul. */
const ADDED_NODES = { MatMul: 4, Gemm: 4, Gather: 3 }
/** Below this share of the weights products are not what decides. */
const LEAST_SHARE = 0.2

function expects(summary: Inspection, given: JsonObject): Expectation {
  const { nodes } = Settings.parse(given)
  const taken = [...PRODUCTS, 'Gather']
  const stored: StoredAs = (name, weight) => {
    if (taken.includes(name)) return perChannel(weight)
    return halved(name, weight)
  }
  const size = expectedBytes(summary, stored, ADDED_NODES)
  return { size_bytes: nodes ? null : size, sqnr_db: TYPICAL_DB - (isLarge(summary) ? AFTER_DB : 0), family: 'smooth-int8' }
}

/** Trained transformers have a few channels a hundred times the others, which 8 bits per tensor cannot say; normalisations take them over. */
export const smoothInt8 = defineOptimizer({
  name: 'smooth-int8',
  method: 'quantization',
  summary:
    'Dynamic int8 after SmoothQuant: outlier channels move from activations into weights, for transformers that lose too much',
  module: import.meta.url,
  precisions: ['int8'],
  settings: Settings,
  reads: QUANTIZER_MEMBERS,
  suits(summary: Inspection, asked): JsonObject[] | string {
    const options = int8Options(summary, asked.metadata, PRODUCTS)
    if (typeof options === 'string') return options
    const { input_shapes } = wishesOf(asked.metadata)
    if (!has(summary, PRODUCTS) || !has(summary, NORMALISATIONS))
      return 'Smoothing needs products behind a normalisation that takes over their outliers; the model has none'
    if (summary.weights && shareOf(summary, PRODUCTS) < LEAST_SHARE)
      return 'Products hold too few of the weights for smoothing to decide anything'
    const support = supportOf(asked)
    const weight_type = options.weight_type ?? (support === 'vnni' || support === 'arm' ? 's8' : 'u8')
    return [{ weight_type, ...(input_shapes ? { input_shapes } : {}), ...(options.nodes ? { nodes: options.nodes } : {}) }]
  },
  expects,
  async apply({ settings, ...paths }) {
    // Loaded here: the host and every function know this row too, and must carry neither the compiler nor the runtime for it.
    const { applySmoothInt8 } = await import('./apply-smooth-int8.ts')
    return applySmoothInt8({ ...paths, settings: Settings.parse(settings) })
  },
})
