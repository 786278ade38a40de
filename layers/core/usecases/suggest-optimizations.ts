import { gateOf } from '../domain/accuracy-gate.ts'
import type { JsonObject } from '../domain/json.ts'
import type { Model, SuggestedOptimization } from '../domain/model.ts'
import type { PlannedAttempt } from '../domain/optimization.ts'
import type { Optimizer } from '../ports/optimizer.ts'
import { planSearch } from './plan-search.ts'

/** More would be no help in choosing. */
const MOST_SUGGESTED = 8

/**
 * What is worth asking for, told from what is known of the file: of every method and precision the smallest candidate that is expected
 * to pass the gate, else the mildest; mildest first.
 * Nothing for what is no ONNX model, nor of what is made from data alone or for targets.
 */
export function suggestOptimizations(
  optimizers: readonly Optimizer[],
  { inspection, framework }: Pick<Model, 'inspection' | 'framework'>,
): SuggestedOptimization[] {
  if (!inspection || framework !== 'onnx') return []
  const general = { metadata: {}, target_size_bytes: null, target_latency_ms: null }
  const precisions = [
    ...new Set(optimizers.flatMap(({ method, precisions = [] }) => (method === 'quantization' ? precisions : []))),
  ]
  const asked = [
    ...precisions.map((precision) => ({ ...general, method: 'quantization' as const, metadata: { precision } })),
    { ...general, method: 'pruning' as const },
  ]
  const worthwhile = asked.flatMap(({ method, metadata, ...rest }) => {
    const { plan } = planSearch(optimizers, inspection, { ...rest, method, metadata })
    const planned = best('precision' in metadata ? plan.filter(({ settings }) => isOfBits(metadata.precision, settings)) : plan)
    return planned ? [{ planned, precision: 'precision' in metadata ? metadata.precision : null }] : []
  })
  return worthwhile
    .toSorted((a, b) => b.planned.expected_sqnr_db - a.planned.expected_sqnr_db)
    .slice(0, MOST_SUGGESTED)
    .map(({ planned, precision }) => ({
      method: planned.method,
      precision,
      expected_size_bytes: planned.expected_size_bytes === null ? null : Math.round(planned.expected_size_bytes),
      reason: reasonFor(optimizers, planned),
    }))
}

/** Some optimizers fall back on more bits than their precision names; those are no reason to ask for it. */
const isOfBits = (precision: string, { bits }: JsonObject): boolean =>
  typeof bits !== 'number' || /^int(\d+)/.exec(precision)?.[1] === String(bits)

const best = (plan: readonly PlannedAttempt[]): PlannedAttempt | undefined => {
  const { sqnr_db } = gateOf({})
  const passing = plan.filter((planned) => planned.expected_size_bytes !== null && planned.expected_sqnr_db >= sqnr_db)
  return passing.toSorted((a, b) => (a.expected_size_bytes ?? 0) - (b.expected_size_bytes ?? 0))[0] ?? plan[0]
}

const reasonFor = (optimizers: readonly Optimizer[], { optimizer, expected_sqnr_db }: PlannedAttempt): string => {
  const row = optimizers.find(({ name }) => name === optimizer)
  return `${row?.summary ?? optimizer} (${optimizer}${row?.expects ? `, typically ${Math.round(expected_sqnr_db)} dB SQNR` : ''})`
}
