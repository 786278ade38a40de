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
    const enough = all.find((other) => isRescued(planned, other))
    if (enough) {
      const reason = `Not built: ${enough.planned.optimizer} ${settingsText(enough.planned.settings)}, whose losses it would make good, was accepted`
      return [skipped(planned, reason)]
    }
    const milder = all.find(
      (other) => isMilder(other.planned, planned) && other.evidence !== undefined && isFarUnfaithful(other.evidence, asked),
    )
    if (!milder?.attempt) return []
    const reason = `Not built: it is harsher than ${milder.planned.optimizer} ${settingsText(milder.planned.settings)}, which was far off (${milder.attempt.reason})`
    return [skipped(planned, reason)]
  })
}

/** Of its family with more to keep, or a larger one of those whose losses it would make good: effort wins back some dB, not any number. */
const isMilder = (other: PlannedAttempt, { family, rescues, expected_sqnr_db, expected_size_bytes }: PlannedAttempt): boolean =>
  (family !== undefined && other.family === family && other.expected_sqnr_db > expected_sqnr_db) ||
  (rescues !== undefined && other.family === rescues && (other.expected_size_bytes ?? 0) > (expected_size_bytes ?? 0) * SAME_SIZE)

const skipped = ({ optimizer: name, settings, expected_size_bytes }: PlannedAttempt, reason: string): Attempt => ({
  name,
  settings,
  verdict: 'skipped',
  reason,
  expected_size_bytes,
})

/** Sizes this near are of the same shapes. */
const SAME_SIZE = 1.02

/** Whether `other` came through without what `planned` would do for its like. */
const isRescued = ({ rescues, expected_size_bytes }: PlannedAttempt, { planned, attempt }: Rung): boolean =>
  rescues !== undefined &&
  planned.family === rescues &&
  planned.rescues === undefined &&
  attempt?.verdict === 'accepted' &&
  (expected_size_bytes === null ||
    planned.expected_size_bytes === null ||
    planned.expected_size_bytes <= expected_size_bytes * SAME_SIZE)

/** The earlier attempt that made the same file, if any: measuring it again would say nothing new. */
export const sameFile = (attempts: readonly Attempt[], sha256: string): Attempt | undefined =>
  attempts.find((attempt) => attempt.sha256 === sha256 && attempt.verdict !== 'skipped')

/** What becomes of a candidate whose file is that of an earlier one. */
export const asDuplicate = ({ name, settings, base }: Attempt): Pick<Attempt, 'verdict' | 'reason'> => ({
  verdict: 'skipped',
  reason: `Not measured: it is the same file as ${name} ${settingsText(settings)}${base === undefined ? '' : ` upon attempt ${base}`}`,
})
