import { chooseCandidate } from './choose-candidate.ts'
import { type Evidence, evidenceOf } from './evidence.ts'
import type { Attempt } from './optimization.ts'
import type { SearchState } from './search-state.ts'

/** What is measured once more, and longer, before it may be published. */
export interface Confirmation {
  step: 'confirm'
  /** Place of the attempt. */
  place: number
  /** For its timing and fidelity together. */
  measure_ms: number
  /** To be noted as attempts before it is. */
  skipped: Attempt[]
}

/** So many may fail; then what was measured once has to do. */
const MOST_CONFIRMED = 4
/** Timing alone: thousands of runs of a small model, dozens of a large one. */
const TIMING_MS = 3000
const TIMING_BUDGET_SHARE = 0.08
/** Kept for labelled rows that are still to judge what is chosen. */
const ROWS_BUDGET_SHARE = 0.3
/** What judging rows leaves for timing, and rows that run while another does. */
const ROWS_SLACK = 1.7

/**
 * The attempt that would be published, where its figures rest on one short measurement: of many candidates the one that looks best is
 * likely to have been lucky, so it is measured again, with all the rows that the rest of the budget allows. Undefined when there is none.
 */
export function toConfirm(state: SearchState): Pick<Confirmation, 'place' | 'measure_ms'> | undefined {
  const { attempts, asked, budget_ms, spent_ms } = state
  if (attempts.filter(({ confirmed }) => confirmed).length >= MOST_CONFIRMED) return undefined
  const choice = chooseCandidate(attempts, asked)
  const attempt = choice.outcome === 'completed' ? attempts[choice.index] : undefined
  const evidence = attempt && evidenceOf(attempt)
  if (choice.outcome !== 'completed' || !evidence || attempt.artifact === undefined || attempt.confirmed) return undefined
  const affordable_ms = Math.max(budget_ms - spent_ms, reserved(evidence, budget_ms))
  return { place: choice.index, measure_ms: Math.round(Math.min(wanted(evidence), affordable_ms)) }
}

/** Milliseconds of the budget that trying candidates must leave for the confirmation. */
export function confirmationReserve({ attempts, budget_ms }: SearchState): number {
  const last = attempts.findLast(({ verdict, confirmed }) => verdict === 'accepted' && !confirmed)
  const evidence = last && evidenceOf(last)
  return evidence ? reserved(evidence, budget_ms) : 0
}

const reserved = (evidence: Evidence, budget_ms: number): number =>
  Math.min(wanted(evidence), (judgedInPart(evidence) ? ROWS_BUDGET_SHARE : TIMING_BUDGET_SHARE) * budget_ms)

/** Labels that were not all looked at: more of them may tell what few could not. */
const judgedInPart = ({ task, fidelity: { rows, rows_available = rows } }: Evidence): boolean =>
  task !== undefined && rows < rows_available

function wanted(evidence: Evidence): number {
  const { original, candidate, fidelity } = evidence
  if (!judgedInPart(evidence)) return TIMING_MS
  const { rows, rows_available = rows } = fidelity
  return TIMING_MS + ROWS_SLACK * rows_available * (original.p50_ms + candidate.p50_ms)
}
