import * as z from 'zod'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defineOptimizer, type Expectation } from '../core/ports/optimizer.ts'
import { expectedBytes, has } from './size-model.ts'
import { keptShare, prunedShare } from './structured-size.ts'
import { Seconds, trainingSeconds, untrainable, wrongMember } from './training-options.ts'

const kinds = ['narrower', 'shallower', 'low_rank'] as const
const Student = z.strictObject({ kind: z.enum(kinds), share: z.number().gt(0).lt(1) })

const Settings = z.strictObject({
  /** What is left of the original: of channels and neurons, of blocks, or of the weights of each matrix. */
  student: Student,
  /** Softens the classes of teacher and student. */
  temperature: z.number().min(1).max(100),
  /** Weight of the teacher against the labels; without labels the teacher alone teaches. */
  alpha: z.number().min(0).max(1),
  /** Seconds of training. */
  budget_s: Seconds,
  /** Times every row is seen at most. */
  epochs: z.number().gt(0).max(10_000).optional(),
  learning_rate: z.number().gt(0).max(1).optional(),
  input_shapes: z.record(z.string(), z.array(z.number().int().min(1))).optional(),
})
export type Settings = z.output<typeof Settings>

/** Members of metadata that this method reads. */
const Asked = z.object({
  student: z.union([z.enum(kinds), Student.partial({ share: true })]).optional(),
  temperature: Settings.shape.temperature.default(3),
  alpha: Settings.shape.alpha.default(0.9),
  budget_s: Seconds.optional(),
  epochs: Settings.shape.epochs,
  learning_rate: Settings.shape.learning_rate,
  input_shapes: Settings.shape.input_shapes,
})
type Asked = z.output<typeof Asked>

const SHARES = [0.5, 0.25]
/** Measured on digits and rendered words: what training of these families typically reaches, by share. */
const TYPICAL_DB = { narrower: 18, low_rank: 16, shallower: 14 }
const QUARTER_LOSES_DB = 6

/** The families worth trying for these operators, best first. */
function families({ operators = {} }: Inspection): (typeof kinds)[number][] {
  const dense = (operators.Gemm ?? 0) + (operators.MatMul ?? 0)
  const layers = dense + (operators.Conv ?? 0)
  // One layer has no inner channels; a block that may go has others before and after it.
  return [
    ...(layers > 1 ? ['narrower' as const] : []),
    ...(dense > 0 ? ['low_rank' as const] : []),
    ...(layers > 4 ? ['shallower' as const] : []),
  ]
}

function students(asked: Asked, summary: Inspection): z.output<typeof Student>[] {
  const { student } = asked
  const kind = typeof student === 'string' ? student : student?.kind
  const share = typeof student === 'string' ? undefined : student?.share
  const shares = share === undefined ? SHARES : [share]
  const wanted = kind === undefined ? families(summary) : [kind]
  return shares.flatMap((each) => wanted.map((one) => ({ kind: one, share: each })))
}

function expects(summary: Inspection, given: JsonObject): Expectation {
  const { kind, share } = Settings.parse(given).student
  const dense = ['MatMul', 'Gemm']
  const size_bytes = expectedBytes(summary, (name, { bytes }) => {
    if (kind === 'narrower') return prunedShare(summary, name, share) * bytes
    return kind === 'shallower' || dense.includes(name) ? share * bytes : undefined
  })
  const lost = QUARTER_LOSES_DB * Math.log2(0.5 / share)
  return { size_bytes, sqnr_db: TYPICAL_DB[kind] - lost, family: `distillation ${kind}` }
}

export const distillation = defineOptimizer({
  name: 'distillation',
  method: 'distillation',
  summary: 'A smaller network derived from the model is trained to answer as the model does, with the data or on made-up inputs',
  module: import.meta.url,
  settings: Settings,
  reads: Object.keys(Asked.shape),
  suits(summary: Inspection, { metadata }): JsonObject[] | string {
    if (summary.format !== 'onnx') return `Wanted an ONNX model, got ${summary.format}`
    const asked = Asked.safeParse(metadata)
    if (!asked.success) return wrongMember(asked.error)
    if (!has(summary, ['MatMul', 'Gemm', 'Conv'])) return 'The model has no MatMul, Gemm or Conv, whose weights could learn'
    const reason = untrainable(summary)
    if (reason !== undefined) return reason
    const { temperature, alpha, budget_s, epochs, learning_rate, input_shapes } = asked.data
    const found = students(asked.data, summary)
    if (found.length === 0) return 'The model has a single convolution: no smaller network can be derived from it'
    return found.map((student) => ({
      student,
      temperature,
      alpha,
      budget_s: budget_s ?? trainingSeconds(summary, keptShare(student.share)),
      ...(epochs === undefined ? {} : { epochs }),
      ...(learning_rate === undefined ? {} : { learning_rate }),
      ...(input_shapes === undefined ? {} : { input_shapes }),
    }))
  },
  expects,
  async apply({ settings, ...paths }) {
    // Loaded here: the host and every function know this row too, and must carry neither the compiler nor the runtime for it.
    const { applyDistillation } = await import('./apply-distillation.ts')
    return applyDistillation({ ...paths, settings: Settings.parse(settings) })
  },
})
