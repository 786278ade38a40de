import * as z from 'zod'
import { wishesOf } from '../core/domain/accuracy-gate.ts'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defineOptimizer, type Expectation } from '../core/ports/optimizer.ts'
import { supportOf } from './dynamic-int8.ts'
import { expectedBytes, has, perChannel } from './size-model.ts'
import { Seconds, trainingSeconds, untrainable, wrongMember } from './training-options.ts'

const Settings = z.strictObject({
  /** How it computes afterwards: ranges of activations taken at run time, or fixed by the data. */
  form: z.enum(['dynamic', 'static']),
  weight_type: z.enum(['s8', 'u8', 's7']),
  /** Seconds of training. */
  budget_s: Seconds,
  learning_rate: z.number().gt(0).max(1).optional(),
})
export type Settings = z.output<typeof Settings>

const Asked = z.object({ budget_s: Seconds.optional(), learning_rate: Settings.shape.learning_rate })

const PRODUCTS = ['MatMul', 'Gemm', 'Conv']
const PRECISION = 'int8_qat'
/** Above what the same rounding keeps without training. */
const TYPICAL_DB = 26

function expects(summary: Inspection, given: JsonObject): Expectation {
  const { form } = Settings.parse(given)
  const taken = [...PRODUCTS, ...(form === 'dynamic' ? ['Gather'] : ['DepthwiseConv'])]
  const size_bytes = expectedBytes(summary, (name, weight) => (taken.includes(name) ? perChannel(weight) : undefined))
  return { size_bytes, sqnr_db: TYPICAL_DB, family: `quantization-aware ${form}` }
}

/** Made only where it is asked for: training takes its time, and most models lose too little by rounding to need it. */
export const quantizationAwareTraining = defineOptimizer({
  name: 'quantization-aware-training',
  method: 'quantization',
  summary: 'Weights are trained while the loss sees them and the activations rounded, then stored and computed with as int8',
  module: import.meta.url,
  precisions: [PRECISION],
  on_request: true,
  settings: Settings,
  reads: Object.keys(Asked.shape),
  suits(summary: Inspection, asked): JsonObject[] | string {
    if (summary.format !== 'onnx') return `Wanted an ONNX model, got ${summary.format}`
    if (wishesOf(asked.metadata).precision !== PRECISION) return `Made where metadata.precision is ${PRECISION}`
    const options = Asked.safeParse(asked.metadata)
    if (!options.success) return wrongMember(options.error)
    if (!has(summary, PRODUCTS)) return `The model has none of ${PRODUCTS.join(', ')}, which could compute in int8`
    if (asked.has_data !== true) return 'Training on made-up inputs would fit the rounding to those: supply calibration_data'
    const stuck = untrainable(summary)
    if (stuck !== undefined) return stuck
    const support = supportOf(asked)
    const weight_type = support === 'vnni' || support === 'arm' ? 's8' : 'u8'
    const forms = has(summary, ['Conv']) ? (['static', 'dynamic'] as const) : (['dynamic', 'static'] as const)
    const { budget_s = trainingSeconds(summary, 1), learning_rate } = options.data
    return forms.map((form) => ({ form, weight_type, budget_s, ...(learning_rate === undefined ? {} : { learning_rate }) }))
  },
  expects,
  async apply({ settings, ...paths }) {
    // Loaded here: the host and every function know this row too, and must carry neither the compiler nor the runtime for it.
    const { applyQuantizationAwareTraining } = await import('./apply-quantization-aware-training.ts')
    return applyQuantizationAwareTraining({ ...paths, settings: Settings.parse(settings) })
  },
})
