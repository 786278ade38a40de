import * as z from 'zod'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'
import { defineOptimizer, type Expectation } from '../core/ports/optimizer.ts'
import { expectedBytes, has } from './size-model.ts'
import { keptShare, prunedShare } from './structured-size.ts'
import { Seconds, trainingSeconds, untrainable, wrongMember } from './training-options.ts'

const structures = ['structured', 'channels', 'heads', 'unstructured', '2:4'] as const
const Settings = z.strictObject({
  /** Share of channels, neurons or heads (or of weights, when unstructured) to remove. */
  sparsity: z.number().gt(0).lt(1),
  structure: z.enum(structures),
  /** Seconds of training towards the original's answers, all rounds together; absent: none. */
  fine_tune_s: Seconds.optional(),
  /** How often a part goes and training follows. */
  rounds: z.number().int().min(1).max(10).optional(),
  /** Row shapes for generated inputs, as the measurement uses them. */
  input_shapes: z.record(z.string(), z.array(z.number().int().min(1))).optional(),
})

export type Settings = z.output<typeof Settings>

/** Members of metadata that this method reads; others are the caller's or the platform's. */
const Asked = Settings.partial().strip()

interface Rung {
  sparsity: number
  rounds?: number
}

/** Without a wish: mildest first, since each step costs fidelity. Training pays where much goes, in more rounds the more that is. */
const LADDER: readonly Rung[] = [{ sparsity: 0.25 }, { sparsity: 0.5 }, { sparsity: 0.75 }, { sparsity: 0.9 }]
const TUNED: readonly Rung[] = [
  { sparsity: 0.5, rounds: 1 },
  { sparsity: 0.75, rounds: 1 },
  { sparsity: 0.9, rounds: 2 },
]
const OPERATORS = ['MatMul', 'Gemm', 'Conv', 'ConvTranspose']
const zeroing = (structure: Settings['structure']): boolean => structure === 'unstructured' || structure === '2:4'

/** SQNR of digits' and wake words' networks after least squares falls about so with the share that goes. */
const WHOLE_DB = 30
const LOST_DB = 13
/** Training wins some back (4 dB of a network of digits that keeps a quarter), but is tried after fitting alone, which takes seconds less. */
const AFTER_DB = 0.5

function expects(summary: Inspection, given: JsonObject): Expectation {
  const { sparsity, structure, fine_tune_s } = Settings.parse(given)
  const left = 1 - sparsity
  const family = `pruning ${structure}`
  if (zeroing(structure)) return { size_bytes: expectedBytes(summary, () => undefined), sqnr_db: 10 * left * 2, family }
  const size_bytes = expectedBytes(summary, (name, { bytes }) => prunedShare(summary, name, left) * bytes)
  // At best: what is small anyway keeps its time.
  const p50_share = keptShare(left) / 2
  // 0.25: 26, 0.5: 22, 0.75: 15, 0.9: 9 dB.
  const fitted_db = WHOLE_DB - LOST_DB * Math.log10(1 / left) - sparsity * 9
  return fine_tune_s === undefined
    ? { size_bytes, sqnr_db: fitted_db, family, p50_share }
    : { size_bytes, sqnr_db: fitted_db - AFTER_DB, family: `${family}, tuned`, rescues: family, p50_share }
}

export const structuredPruning = defineOptimizer({
  name: 'structured-pruning',
  method: 'pruning',
  summary:
    'Whole channels, neurons and attention heads go, the layers after them are fitted by least squares and, with data, trained: smaller and faster on any CPU; zeros alone (unstructured, 2:4) make neither the file smaller nor the latency lower',
  module: import.meta.url,
  settings: Settings,
  reads: Object.keys(Asked.shape),
  suits(summary: Inspection, { metadata, has_data }): JsonObject[] | string {
    if (summary.format !== 'onnx') return `Wanted an ONNX model, got ${summary.format}`
    const asked = Asked.safeParse(metadata)
    if (!asked.success) return wrongMember(asked.error)
    const { structure = 'structured', fine_tune_s, rounds } = asked.data
    if (!has(summary, OPERATORS)) return `The model has none of ${OPERATORS.join(', ')}, whose channels could go`
    const stuck = untrainable(summary)
    const training = fine_tune_s !== undefined || rounds !== undefined
    if (training && stuck !== undefined) return stuck
    if (training && zeroing(structure)) return `Training would fill the zeros of ${structure} pruning again`
    return rungsFor(asked.data, has_data === true && stuck === undefined).map((rung) => settingsOf(summary, asked.data, rung))
  },
  expects,
  async apply({ settings, ...paths }) {
    // Loaded here: the host and every function know this row too, and must carry neither the compiler nor the runtime for it.
    const { applyStructuredPruning } = await import('./apply-structured-pruning.ts')
    return applyStructuredPruning({ ...paths, settings: Settings.parse(settings) })
  },
})

function rungsFor({ sparsity, structure = 'structured', fine_tune_s, rounds }: z.output<typeof Asked>, tunable: boolean): Rung[] {
  if (structure === '2:4') return [{ sparsity: 0.5 }]
  const fitted = sparsity === undefined ? LADDER : [{ sparsity }]
  if (fine_tune_s !== undefined || rounds !== undefined) return fitted.map((rung) => ({ ...rung, rounds: rounds ?? 1 }))
  if (!tunable || zeroing(structure)) return [...fitted]
  const tuned = sparsity === undefined ? TUNED : [{ sparsity, rounds: sparsity > 0.8 ? 2 : 1 }]
  return [...fitted, ...tuned]
}

const settingsOf = (summary: Inspection, asked: z.output<typeof Asked>, { sparsity, rounds }: Rung): JsonObject => {
  const { structure = 'structured', fine_tune_s = trainingSeconds(summary, keptShare(1 - sparsity)), input_shapes } = asked
  return {
    sparsity,
    structure,
    ...(rounds === undefined ? {} : { fine_tune_s, rounds }),
    ...(input_shapes ? { input_shapes } : {}),
  }
}
