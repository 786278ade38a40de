import { wishesOf } from './accuracy-gate.ts'
import { targetsMet } from './choose-candidate.ts'
import { type Asked, evidenceOf } from './evidence.ts'
import type { JsonObject } from './json.ts'
import { latencyReduction, SLOWEST_ACCEPTED_PERCENT } from './judge-candidate.ts'
import type { Attempt } from './optimization.ts'
import { nextPair, type Pair } from './search-pairs.ts'
import { canReach, type Rung, rungs, type SearchState, skippedRungs } from './search-state.ts'

export interface Trial {
  step: 'try'
  /** Place of its optimizer and settings in the plan. */
  index: number
  optimizer: string
  settings: JsonObject
  /** Place of the attempt whose file it is made from; absent: the original’s. */
  base?: number
  expected_size_bytes: number | null
  /** For its timing and fidelity together. */
  measure_ms: number
  /** To be noted as attempts before it is: what need not be built any more. */
  skipped: Attempt[]
}
export type Next = Trial | { step: 'done'; reason: string; skipped: Attempt[] }

const LEAST_MEASURE_MS = 600
const MOST_MEASURE_MS = 8000
/** What a build is taken to last before any was seen. */
const FIRST_BUILD_MS = 1000
const MEGABYTE = 1e6

/** Seconds of building and measuring unless asked for otherwise: 60 up to 20 MB, 2 for every further MB, at most 900. */
export const defaultBudget_s = (size_bytes: number): number =>
  Math.min(900, 60 + 2 * Math.max(0, Math.ceil(size_bytes / MEGABYTE - 20)))

/**
 * The candidate to try next, or why there is none. Pure: a search that was interrupted goes on where it was.
 *
 * 1. Done once a candidate meets every target, or the time budget is used.
 * 2. Savings of pruning and quantization multiply, so the best quantizer goes upon every faithful pruned candidate.
 * 3. Mildest first, of those that can reach the size target; then what reaches it in two steps.
 * 4. If nothing of these was acceptable, the others by size: the caller then gets the nearest to the target.
 * 5. Distillation, where it was asked for or targets are still unmet.
 */
export function nextAttempt(state: SearchState): Next {
  const skipped = skippedRungs(rungs(state), state.asked)
  const seen = { ...state, attempts: [...state.attempts, ...skipped] }
  const done = (reason: string): Next => ({ step: 'done', reason, skipped })
  const settled = state.attempts.find((attempt) => settles(attempt, state.asked))
  if (settled) return done(`${settled.name} meets every target`)
  const open = rungs(seen).filter(({ attempt }) => attempt === undefined)
  const left_ms = state.budget_ms - state.spent_ms
  if (left_ms < LEAST_MEASURE_MS) return done(budgetText(state, open.length))
  const found = choose(seen, open)
  if (!found) return done('Every candidate that could help was tried')
  const measure_ms = share(state, left_ms, open.length)
  if ('quantizer' in found) {
    const { quantizer, base, expected_size_bytes } = found
    return { step: 'try', ...named(quantizer), base, expected_size_bytes, measure_ms, skipped }
  }
  return { step: 'try', ...named(found), expected_size_bytes: found.planned.expected_size_bytes, measure_ms, skipped }
}

const named = ({ index, planned: { optimizer, settings } }: Rung) => ({ index, optimizer, settings })

const budgetText = ({ budget_ms, attempts }: SearchState, open: number): string => {
  const tried = attempts.filter(({ verdict }) => verdict !== 'skipped').length
  return `The time budget of ${Math.round(budget_ms / 1000)} s is used: ${tried} candidates were tried, ${open} were not`
}

/** Accepted, every target met, and not merely by becoming slower: then nothing is left to look for. */
const settles = (attempt: Attempt, asked: Asked): boolean => {
  const evidence = evidenceOf(attempt)
  if (!evidence || !isAccepted(attempt) || targetsMet(evidence, asked) !== true) return false
  const slowness_wanted = asked.target_latency_ms !== null || wishesOf(asked.metadata).allow_slower === true
  return slowness_wanted || latencyReduction(evidence) >= SLOWEST_ACCEPTED_PERCENT
}

const isAccepted = ({ verdict }: Attempt): boolean => verdict === 'accepted' || verdict === 'published'

function choose(state: SearchState, open: readonly Rung[]): Rung | Pair | undefined {
  const { asked, attempts } = state
  const ladder = open.filter(({ planned }) => planned.method !== 'distillation')
  const reaching = ladder.filter(({ planned }) => canReach(planned.expected_size_bytes, asked))
  const mild = nextPair(state, { any: asked.target_size_bytes === null }) ?? reaching[0]
  if (mild) return mild
  const small = attempts.some(
    (attempt) => isAccepted(attempt) && attempt.candidate !== undefined && canReach(attempt.candidate.size_bytes, asked),
  )
  if (!small) {
    const other = towardsPair(state, ladder) ?? (attempts.some(isAccepted) ? undefined : smallest(ladder))
    const last = other ?? nextPair(state, { any: true })
    if (last) return last
  }
  const targets = asked.target_size_bytes !== null || asked.target_latency_ms !== null
  return asked.method === 'distillation' || targets ? open.find(({ planned }) => planned.method === 'distillation') : undefined
}

const smallest = (ladder: readonly Rung[]): Rung | undefined =>
  ladder.toSorted((a, b) => (a.planned.expected_size_bytes ?? 0) - (b.planned.expected_size_bytes ?? 0))[0]

/**
 * The half that is not tried yet of the mildest pair, pruning and quantizer, that together can reach the size target. Expected noise
 * of both adds up in power; a half that turned out unacceptable takes its pairs along.
 */
function towardsPair(state: SearchState, ladder: readonly Rung[]): Rung | undefined {
  const usable = rungs(state).filter(({ attempt }) => attempt === undefined || isAccepted(attempt))
  const quantizers = usable.filter(({ planned }) => planned.method === 'quantization')
  const pairs = usable
    .filter(({ planned }) => planned.method === 'pruning')
    .flatMap((pruned) => quantizers.map((quantizer) => ({ quantizer, pruned })))
    .filter(({ quantizer, pruned }) => {
      const [a, b] = [sizeOf(quantizer), sizeOf(pruned)]
      return a !== null && b !== null && canReach((a * b) / Math.max(1, state.original_size_bytes), state.asked)
    })
    .toSorted((a, b) => noise(a.quantizer) + noise(a.pruned) - noise(b.quantizer) - noise(b.pruned))
  return pairs
    .flatMap(({ quantizer, pruned }) => [quantizer, pruned])
    .find((half) => ladder.some(({ index }) => index === half.index))
}

const sizeOf = ({ planned, evidence }: Rung): number | null => evidence?.candidate.size_bytes ?? planned.expected_size_bytes
const noise = ({ planned, evidence }: Rung): number => 10 ** (-(evidence?.fidelity.sqnr_db ?? planned.expected_sqnr_db) / 10)

/** What is left, shared by what may still be tried, less the time its build is likely to take. */
function share({ attempts }: SearchState, left_ms: number, open: number): number {
  const builds = attempts.flatMap(({ build_ms }) => build_ms ?? [])
  const build_ms = builds.length > 0 ? builds.reduce((sum, each) => sum + each, 0) / builds.length : FIRST_BUILD_MS
  return Math.round(Math.min(MOST_MEASURE_MS, Math.max(LEAST_MEASURE_MS, left_ms / Math.max(1, open) - build_ms)))
}
