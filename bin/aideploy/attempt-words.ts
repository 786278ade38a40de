import { latencyShare } from '../../layers/core/domain/evidence.ts'
import type { Attempt, TaskResult } from '../../layers/core/domain/optimization.ts'
import { shownChange, shownShare } from './words.ts'

/** What became of a candidate, in one word. */
export type Kind = 'written' | 'acceptable' | 'inconclusive' | 'slower' | 'unfaithful' | 'no gain' | 'failed' | 'not built'

/** The judge says the reason for a rejection first. */
const beginnings: readonly (readonly [RegExp, Kind])[] = [
  [/^Inconclusive/, 'inconclusive'],
  [/^Slower/, 'slower'],
  [/^Unfaithful/, 'unfaithful'],
  [/^Neither/, 'no gain'],
]

export const kindOf = ({ verdict, reason }: Pick<Attempt, 'verdict' | 'reason'>): Kind => {
  if (verdict === 'published') return 'written'
  if (verdict === 'accepted') return 'acceptable'
  if (verdict === 'skipped') return 'not built'
  if (verdict === 'failed') return 'failed'
  return beginnings.find(([pattern]) => pattern.test(reason))?.[1] ?? 'failed'
}

/** Of p50, by the estimate that verdicts rest on; '' where nothing was measured. */
export const shownLatencyChange = ({ original, candidate, latency_interval }: Attempt): string =>
  original && candidate ? shownChange(1, latencyShare({ original, candidate, latency_interval })) : ''

/** Outputs against the original's: the share of decisions that stayed, else the ratio of signal to noise. */
export const shownFidelity = ({ fidelity }: Pick<Attempt, 'fidelity'>): string => {
  if (!fidelity) return ''
  if (fidelity.top1_agreement !== null && fidelity.classes_seen !== 1) return shownShare(fidelity.top1_agreement)
  return fidelity.sqnr_db === null ? 'unknown' : `${fidelity.sqnr_db.toFixed(1)} dB`
}

const shares = ['accuracy', 'exact_match', 'f1', 'cer', 'map']
export const shownScore = (metric: TaskResult['metric'], value: number): string =>
  shares.includes(metric) ? shownShare(value) : String(Number(value.toPrecision(3)))

/** `#3` or, made from another attempt's file, `#7 on #3`. */
export const placeText = ({ base }: Pick<Attempt, 'base'>, index: number): string =>
  base === undefined ? `#${index + 1}` : `#${index + 1} on #${base + 1}`
