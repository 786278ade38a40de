import { wishesOf } from './accuracy-gate.ts'
import { targetsMet } from './choose-candidate.ts'
import { type Confirmation, confirmationReserve, toConfirm } from './confirmation.ts'
import { type Asked, type Evidence, evidenceOf, isAccepted } from './evidence.ts'
import type { JsonObject } from './json.ts'
import { slowness } from './judge-candidate.ts'
import type { Attempt } from './optimization.ts'
import { nextPair, type Pair, pairTowardsTargets } from './search-pairs.ts'
import { canMeet, hasTargets } from './search-reach.ts'
import { type Rung, rungs, type SearchState, skippedRungs } from './search-state.ts'

export interface Trial {
  step: 'try'
  /** Place of its optimizer and settings in the plan. */
  index: number
  optimizer: string
  settings: JsonObject
  /** Place of the attempt whose file it is made from; absent: the original’s. */
  base?: number
  expected_size_bytes: number | null
  /** Its build is given up after so long. */
  build_ms: number
  /** For its timing and fidelity together. */
  measure_ms: number
  /** To be noted as attempts before it is: what need not be built any more. */
  skipped: Attempt[]
}
export type Next = Trial | Confirmation | { step: 'done'; reason: string; skipped: Attempt[] }

const LEAST_MEASURE_MS = 600
const MOST_MEASURE_MS = 8000
/** One build may take this share of what is left, so that others come to their turn, but no less than some seconds. */
const BUILD_SHARE = 0.6
/** And less of it once something is acceptable. */
const FURTHER_BUILD_SHARE = 0.25
const LEAST_BUILD_MS = 5000
/** Reading rows, asking the original and rounding come upon training. */
const TRAINING_SLACK = 2
/** With targets a search usually ends before it tried so many. */
const TRIED_FOR_TARGETS = 10
/** What a build is taken to last before any was seen. */
const FIRST_BUILD_MS = 1000
const MEGABYTE = 1e6

/** Seconds of building and measuring unless asked for otherwise: 60 up to 20 MB, 2 for every further MB, at most 900. */
export const defaultBudget_s = (size_bytes: number): number =>
  Math.min(900, 60 + 2 * Math.max(0, Math.ceil(size_bytes / MEGABYTE - 20)))

/**
 * The candidate to try next, or why there is none. Pure: a search that was interrupted goes on where it was.
 *
 * 1. Done once a candidate that is not slower meets every target, or the time budget is used. A slower one has its target where nothing
 *    else came to have it.
 * 2. Savings of pruning and quantization multiply, so the best quantizer goes upon every faithful pruned candidate.
 * 3. Mildest first, of those that can reach the size target; then what reaches it in two steps.
 * 4. If nothing of these was acceptable, the others by size: the caller then gets the nearest to the target.
 * 5. Distillation, where it was asked for or targets are still unmet.
 * 6. At the end what would be published is measured once more; where that does not hold, the search goes on.
 */
export function nextAttempt(state: SearchState): Next {
  const skipped = skippedRungs(rungs(state), state.asked)
  const seen = { ...state, attempts: [...state.attempts, ...skipped] }
  const done = (reason: string): Next => {
    const confirmed = toConfirm(seen)
    return confirmed ? { step: 'confirm', ...confirmed, skipped } : { step: 'done', reason, skipped }
  }
  const settled = state.attempts.find((attempt) => settles(attempt, state.asked))
  if (settled) return done(`${settled.name} meets every target`)
  const open = rungs(seen).filter(({ attempt }) => attempt === undefined)
  const left_ms = state.budget_ms - state.spent_ms - confirmationReserve(state)
  if (open.length > 0 && left_ms < LEAST_MEASURE_MS) return done(budgetText(state, open.length))
  const affordable = open.filter(({ planned }) => state.asked.method !== 'auto' || trainingMs(planned.settings) < left_ms)
  const found = left_ms < LEAST_MEASURE_MS ? undefined : choose(seen, affordable)
  if (!found) {
    const longer = open.length - affordable.length
    const but = longer > 0 ? `, but for ${longer} that would train for longer than the time budget has left` : ''
    return done(`Every candidate that could help was tried${but}`)
  }
  const measure_ms = share(state, left_ms, open.length)
  const common = { step: 'try' as const, measure_ms, skipped }
  if ('quantizer' in found) {
    const { quantizer, base, expected_size_bytes } = found
    return { ...common, ...named(quantizer), base, expected_size_bytes, build_ms: buildLimit(quantizer, state, left_ms) }
  }
  const { expected_size_bytes } = found.planned
  return { ...common, ...named(found), expected_size_bytes, build_ms: buildLimit(found, state, left_ms) }
}

/** Milliseconds a candidate was told to train for. */
const trainingMs = ({ budget_s, fine_tune_s }: JsonObject): number =>
  1000 * [budget_s, fine_tune_s].reduce((sum: number, each) => sum + (typeof each === 'number' ? each : 0), 0)

function buildLimit({ planned }: Rung, { attempts }: SearchState, left_ms: number): number {
  const share = attempts.some(isAccepted) ? FURTHER_BUILD_SHARE : BUILD_SHARE
  return Math.round(Math.max(LEAST_BUILD_MS, share * left_ms, TRAINING_SLACK * trainingMs(planned.settings) + LEAST_BUILD_MS))
}

const named = ({ index, planned: { optimizer, settings } }: Rung) => ({ index, optimizer, settings })

const budgetText = ({ budget_ms, attempts }: SearchState, open: number): string => {
  const tried = attempts.filter(({ verdict }) => verdict !== 'skipped').length
  return `The time budget of ${Math.round(budget_ms / 1000)} s is used: ${tried} candidates were tried, ${open} were not`
}

/** Accepted, every target met, and not slower unless that was permitted: then nothing is left to look for. */
const settles = (attempt: Attempt, asked: Asked): boolean => {
  const evidence = evidenceOf(attempt)
  if (!evidence || !isAccepted(attempt) || targetsMet(evidence, asked) !== true) return false
  return !isUnwantedlySlow(evidence, asked)
}

const isUnwantedlySlow = (evidence: Evidence, asked: Asked): boolean =>
  wishesOf(asked.metadata).allow_slower !== true && slowness(evidence) > 0

function choose(state: SearchState, open: readonly Rung[]): Rung | Pair | undefined {
  const { asked, attempts } = state
  const ladder = open.filter(({ planned }) => planned.method !== 'distillation')
  const reaching = ladder.filter((rung) => canMeet(rung, state))
  const mild = nextPair(state, { any: asked.target_size_bytes === null }) ?? reaching[0]
  if (mild) return mild
  if (!attempts.some((attempt) => isAccepted(attempt) && isEnough(attempt, asked))) {
    const other = pairTowardsTargets(state, ladder) ?? (attempts.some(isAccepted) ? undefined : smallest(ladder))
    const last = other ?? nextPair(state, { any: true })
    if (last) return last
  }
  return asked.method === 'distillation' || hasTargets(asked)
    ? open.find(({ planned }) => planned.method === 'distillation')
    : undefined
}

/** Meets what targets there are, and not by being slower than permitted. */
const isEnough = (attempt: Attempt, asked: Asked): boolean => {
  const evidence = evidenceOf(attempt)
  return evidence !== undefined && targetsMet(evidence, asked) !== false && !isUnwantedlySlow(evidence, asked)
}

const smallest = (ladder: readonly Rung[]): Rung | undefined =>
  ladder.toSorted((a, b) => (a.planned.expected_size_bytes ?? 0) - (b.planned.expected_size_bytes ?? 0))[0]

/** What is left, shared by what may still be tried, less the time its build is likely to take. */
function share({ attempts, asked }: SearchState, left_ms: number, open: number): number {
  const builds = attempts.flatMap(({ build_ms }) => build_ms ?? [])
  const build_ms = builds.length > 0 ? builds.reduce((sum, each) => sum + each, 0) / builds.length : FIRST_BUILD_MS
  const turns = hasTargets(asked) ? Math.min(TRIED_FOR_TARGETS, open) : open
  return Math.round(Math.min(MOST_MEASURE_MS, Math.max(LEAST_MEASURE_MS, left_ms / Math.max(1, turns) - build_ms)))
}
