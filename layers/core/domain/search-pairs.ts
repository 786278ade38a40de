import { askedMetadata, gateOf } from './accuracy-gate.ts'
import { type Evidence, evidenceOf, isAccepted, remains } from './evidence.ts'
import { faithfulness, isFarUnfaithful } from './faithfulness.ts'
import { sizeReduction } from './judge-candidate.ts'
import type { Attempt } from './optimization.ts'
import { canMeetTogether, noiseOf, pairSize } from './search-reach.ts'
import { canReach, type Rung, rungs, type SearchState, sameAttempt } from './search-state.ts'

/** A quantizer to apply to the file of a structural attempt. */
export interface Pair {
  quantizer: Rung
  /** Place of the attempt it is made from. */
  base: number
  expected_size_bytes: number
}

type Tried = Rung & { attempt: Attempt; evidence: Evidence; place: number }
const isTried = (rung: Rung): rung is Tried => rung.evidence !== undefined && rung.attempt !== undefined

/** After so many quantizers upon one structural candidate another would teach nothing. */
const PAIRS_OF_A_BASE = 2
/** By so much a predicted SQNR may lie below the gate and still be worth measuring. */
const PREDICTION_DB = 1

/**
 * The next quantizer worth applying upon a faithful structural candidate, because their savings multiply; mildest base first.
 * With a size target only pairs that can reach it, unless `any`.
 */
export function nextPair(state: SearchState, { any }: { any: boolean }): Pair | undefined {
  const tried = rungs(state).filter(isTried)
  const quantizers = tried
    .filter(({ planned, attempt }) => planned.method === 'quantization' && isAccepted(attempt))
    .toSorted((a, b) => remains(a.evidence) - remains(b.evidence))
  const bases = tried.filter((rung) => isBase(rung, state))
  for (const base of bases) {
    const upon = state.attempts.filter((attempt) => attempt.base === base.place)
    if (upon.some(isAccepted) || upon.length >= PAIRS_OF_A_BASE) continue
    const pairs = quantizers.map((quantizer) => ({ quantizer, base: base.place, expected_size_bytes: product(base, quantizer) }))
    const fitting = pairs.filter(({ expected_size_bytes }) => canReach(expected_size_bytes, state.asked))
    const open = (fitting.length > 0 ? fitting : any ? pairs : []).filter(({ quantizer }) => isOpen(base, quantizer, state))
    if (open[0]) return open[0]
  }
  return undefined
}

/** Pairs whose expected noise differs by less are as mild as each other: then the smaller comes first. */
const AS_MILD_DB = 2

/**
 * The mildest pair of pruning and quantizer that together can meet the targets, where nothing alone can: its pruned half if that is not made yet, else
 * the quantizer upon it, whether that was tried on the original or not. Expected noise of both adds up in power; a half that turned out
 * unacceptable takes its pairs along.
 */
export function pairTowardsTargets(state: SearchState, ladder: readonly Rung[]): Rung | Pair | undefined {
  const usable = rungs(state).filter(({ attempt }) => attempt === undefined || isAccepted(attempt))
  const quantizers = usable.filter(({ planned }) => planned.method === 'quantization')
  const mildness = ({ pruned, quantizer }: { pruned: Rung; quantizer: Rung }): number =>
    Math.round((10 * Math.log10(noiseOf(pruned) + noiseOf(quantizer))) / AS_MILD_DB)
  const pairs = usable
    .filter(({ planned }) => planned.method === 'pruning')
    .flatMap((pruned) => quantizers.map((quantizer) => ({ pruned, quantizer })))
    .filter(({ pruned, quantizer }) => canMeetTogether(pruned, quantizer, state))
    .map((pair) => ({ ...pair, size_bytes: pairSize(pair.pruned, pair.quantizer, state.original_size_bytes) ?? 0 }))
    .toSorted((a, b) => mildness(a) - mildness(b) || a.size_bytes - b.size_bytes)
  for (const { pruned, quantizer, size_bytes } of pairs) {
    if (pruned.attempt === undefined) {
      if (ladder.some(({ index }) => index === pruned.index)) return pruned
    } else if (isTried(pruned) && isBase(pruned, state) && isFreeUpon(pruned, quantizer, state))
      return { quantizer, base: pruned.place, expected_size_bytes: size_bytes }
  }
  return undefined
}

function isFreeUpon(base: Tried, { planned }: Rung, { attempts }: SearchState): boolean {
  const upon = attempts.filter((attempt) => attempt.base === base.place)
  const made = { name: planned.optimizer, settings: planned.settings, base: base.place }
  return upon.length < PAIRS_OF_A_BASE && !upon.some((attempt) => sameAttempt(attempt, made))
}

const isBase = ({ planned, attempt, evidence }: Tried, { asked }: SearchState): boolean =>
  (planned.method === 'pruning' || planned.method === 'distillation') &&
  attempt.artifact !== undefined &&
  sizeReduction(evidence) >= 1 &&
  faithfulness(evidence, asked).faithful

const product = (base: Tried, { evidence: { original, candidate } }: Tried): number =>
  Math.round((base.evidence.candidate.size_bytes * candidate.size_bytes) / Math.max(1, original.size_bytes))

/** Not tried yet, and neither theory nor a milder base says that it would be in vain. */
function isOpen(base: Tried, quantizer: Tried, { attempts, asked }: SearchState): boolean {
  const { name, settings } = quantizer.attempt
  if (attempts.some((attempt) => sameAttempt(attempt, { name, settings, base: base.place }))) return false
  const upon_others = attempts.filter(
    (attempt) => attempt.base !== undefined && sameAttempt({ ...attempt, base: undefined }, quantizer.attempt),
  )
  const in_vain = upon_others.some((attempt) => {
    const evidence = evidenceOf(attempt)
    const milder = (attempts[attempt.base ?? -1]?.candidate?.size_bytes ?? 0) >= base.evidence.candidate.size_bytes
    return milder && evidence !== undefined && isFarUnfaithful(evidence, asked)
  })
  return !in_vain && !isHopeless(base.evidence, quantizer.evidence, asked)
}

/** Where noise decides: errors of both are independent, so their powers add. */
function isHopeless(base: Evidence, quantizer: Evidence, asked: SearchState['asked']): boolean {
  if (faithfulness(base, asked).by !== 'noise') return false
  const powers = [base, quantizer].map(({ fidelity }) => 10 ** (-(fidelity.sqnr_db ?? 200) / 10))
  const predicted_db = -10 * Math.log10(powers.reduce((sum, power) => sum + power, 1e-20))
  return predicted_db < gateOf(askedMetadata(asked)).sqnr_db - PREDICTION_DB
}
