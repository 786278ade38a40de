import { wishesOf } from './accuracy-gate.ts'
import { type Asked, type Evidence, evidenceOf, isAccepted, remains } from './evidence.ts'
import { accuracyChange, isFaithful } from './faithfulness.ts'
import { latencyReduction, sizeReduction, slowness } from './judge-candidate.ts'
import type { Attempt, OptimizedModel } from './optimization.ts'

/** What an optimisation says of itself once it is decided. */
export type Result = Pick<
  OptimizedModel,
  'size_reduction_percentage' | 'latency_reduction_percentage' | 'accuracy_change_percentage' | 'accuracy_source' | 'target_met'
>

export type Choice =
  | { outcome: 'completed'; index: number; result: Result }
  /** `result` is of the candidate that came nearest, faithful ones first; all null when none was measured. */
  | { outcome: 'failed'; error: string; result: Result }

const nothing: Result = {
  size_reduction_percentage: null,
  latency_reduction_percentage: null,
  accuracy_change_percentage: null,
  accuracy_source: null,
  target_met: null,
}

/** Whether a candidate meets every target that was set; null when none was. */
export const targetsMet = (evidence: Evidence, asked: Asked): boolean | null => {
  const { target_size_bytes, target_latency_ms } = asked
  if (target_size_bytes === null && target_latency_ms === null) return null
  const small = target_size_bytes === null || evidence.candidate.size_bytes <= target_size_bytes
  const fast = target_latency_ms === null || evidence.candidate.p50_ms <= target_latency_ms
  return small && fast
}

/** By how much targets are missed, as a product of ratios; 1 when met. */
const excess = ({ candidate }: Evidence, { target_size_bytes, target_latency_ms }: Asked): number =>
  Math.max(1, target_size_bytes === null ? 1 : candidate.size_bytes / target_size_bytes) *
  Math.max(1, target_latency_ms === null ? 1 : candidate.p50_ms / target_latency_ms)

const resultOf = (evidence: Evidence, asked: Asked): Result => ({
  size_reduction_percentage: sizeReduction(evidence),
  latency_reduction_percentage: latencyReduction(evidence),
  accuracy_change_percentage: accuracyChange(evidence),
  accuracy_source: evidence.task ? 'task_metric' : evidence.fidelity.top1_agreement === null ? 'none' : 'top1_agreement',
  target_met: targetsMet(evidence, asked),
})

/**
 * Of the accepted candidates one that meets the targets; then, unless slowness was permitted, the least surely slower: a slower one is
 * taken only where nothing else meets them; then the one that misses them least; then one whose figures a second measurement confirmed; then what leaves least of size × latency. Targets missed by all still complete, with
 * `target_met: false`; nothing accepted fails with every reason.
 */
export const chooseCandidate = (attempts: readonly Attempt[], asked: Asked): Choice => {
  const may_be_slower = wishesOf(asked.metadata).allow_slower === true
  const measured = attempts.flatMap((attempt, index) => {
    const evidence = evidenceOf(attempt)
    const accepted = isAccepted(attempt)
    if (!evidence) return []
    const slow = may_be_slower ? 0 : slowness(evidence)
    const missed = excess(evidence, asked)
    return [{ index, evidence, accepted, slow, missed, attempt, usd: attempt.cost_per_1000?.candidate_usd ?? 0 }]
  })
  const ranked = measured.toSorted(
    (a, b) =>
      Number(a.missed > 1) - Number(b.missed > 1) ||
      a.slow - b.slow ||
      a.missed - b.missed ||
      Number(b.attempt.confirmed === true) - Number(a.attempt.confirmed === true) ||
      remains(a.evidence) - remains(b.evidence) ||
      a.usd - b.usd,
  )
  const best = ranked.find(({ accepted }) => accepted)
  if (best) return { outcome: 'completed', index: best.index, result: resultOf(best.evidence, asked) }
  const nearest = ranked.find(({ evidence }) => isFaithful(evidence, asked)) ?? ranked[0]
  return { outcome: 'failed', error: failureOf(attempts), result: nearest ? resultOf(nearest.evidence, asked) : nothing }
}

const failureOf = (attempts: readonly Attempt[]): string =>
  attempts.length === 0
    ? 'No candidate could be planned for this model'
    : `No candidate was acceptable. ${attempts
        .filter(({ verdict }) => verdict !== 'skipped')
        .map(({ name, reason }) => `${name}: ${reason}`)
        .join('; ')}`
