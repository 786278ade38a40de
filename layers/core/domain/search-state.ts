import { type Asked, type Evidence, evidenceOf } from './evidence.ts'
import { isFarUnfaithful } from './faithfulness.ts'
import type { JsonObject } from './json.ts'
import type { Attempt, OptimizationMethod, PlannedAttempt } from './optimization.ts'

/** All that the search decides by. The same state always gives the same answer. */
export interface SearchState {
  plan: readonly PlannedAttempt[]
  attempts: readonly Attempt[]
  asked: Asked & { method: OptimizationMethod }
  original_size_bytes: number
  /** Milliseconds of building and measuring so far, and how many there are in all. */
  spent_ms: number
  budget_ms: number
}

/** A planned candidate with what became of it. `place` is that of its attempt. */
export interface Rung {
  index: number
  planned: PlannedAttempt
  place?: number
  attempt?: Attempt
  evidence?: Evidence | undefined
}

/** Files within this of a wanted size may turn out to meet it: the size model does not know every byte of a graph. */
const SIZE_SLACK = 1.02

/** Whether a file of so many bytes can meet the size target; unknown sizes can. */
export const canReach = (size_bytes: number | null, { target_size_bytes }: Asked): boolean =>
  target_size_bytes === null || size_bytes === null || size_bytes <= target_size_bytes * SIZE_SLACK

/** Equal settings have equal texts, however a store orders their members. */
export const settingsText = (value: JsonObject[string]): string => {
  if (Array.isArray(value)) return `[${value.map(settingsText).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${settingsText(member)}`).join()}}`
}

type Made = Pick<Attempt, 'name' | 'settings' | 'base'>
/** The same optimizer with the same settings upon the same file. */
export const sameAttempt = (a: Made, b: Made): boolean =>
  a.name === b.name && a.base === b.base && settingsText(a.settings) === settingsText(b.settings)

/** The plan with its attempts from the original's file; those upon other attempts are no rungs. */
export const rungs = ({ plan, attempts }: Pick<SearchState, 'plan' | 'attempts'>): Rung[] =>
  plan.map((planned, index) => {
    const place = attempts.findIndex((attempt) =>
      sameAttempt(attempt, { name: planned.optimizer, settings: planned.settings, base: undefined }),
    )
    const attempt = attempts[place]
    return attempt ? { index, planned, place, attempt, evidence: evidenceOf(attempt) } : { index, planned }
  })

/** Open rungs that a milder member of their family has shown to be in vain, as attempts that say why. */
export function skippedRungs(all: readonly Rung[], asked: Asked): Attempt[] {
  return all.flatMap(({ planned, attempt }) => {
    if (attempt) return []
    const milder = all.find(
      (other) =>
        planned.family !== undefined &&
        other.planned.family === planned.family &&
        other.planned.expected_sqnr_db > planned.expected_sqnr_db &&
        other.evidence !== undefined &&
        isFarUnfaithful(other.evidence, asked),
    )
    if (!milder?.attempt) return []
    const { optimizer: name, settings, expected_size_bytes } = planned
    const reason = `Not built: it is harsher than ${milder.planned.optimizer} ${settingsText(milder.planned.settings)}, which was far off (${milder.attempt.reason})`
    return [{ name, settings, verdict: 'skipped' as const, reason, expected_size_bytes }]
  })
}
