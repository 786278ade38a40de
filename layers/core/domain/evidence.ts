import type { Attempt, Fidelity, LatencyInterval, Measurement, OptimizedModel, TaskResult } from './optimization.ts'

/** What was measured of one candidate. */
export interface Evidence {
  original: Measurement
  candidate: Measurement
  fidelity: Fidelity
  latency_interval?: LatencyInterval | undefined
  /** Where labels were supplied. */
  task?: TaskResult | undefined
}

/** What was asked of an optimisation, as far as decisions need it. */
export type Asked = Pick<OptimizedModel, 'metadata' | 'target_size_bytes' | 'target_latency_ms'> &
  Partial<Pick<OptimizedModel, 'accuracy_gate' | 'task'>>

/** The evidence of an attempt that got as far as being measured. */
export const evidenceOf = ({ original, candidate, fidelity, latency_interval, task }: Attempt): Evidence | undefined =>
  original && candidate && fidelity ? { original, candidate, fidelity, latency_interval, task } : undefined

/** Candidate's latency ÷ original's: by the rounds in which both took turns, where these were told, else by their p50. */
export const latencyShare = ({ original, candidate, latency_interval }: Timed): number =>
  latency_interval?.estimate_percent === undefined
    ? candidate.p50_ms / Math.max(1e-6, original.p50_ms)
    : 1 - latency_interval.estimate_percent / 100

type Timed = Pick<Evidence, 'original' | 'candidate' | 'latency_interval'>

/** What is left of size × latency: half of both is as good as a quarter of one. */
export const remains = (evidence: Timed): number =>
  (evidence.candidate.size_bytes / Math.max(1, evidence.original.size_bytes)) * latencyShare(evidence)

/** Whether it may be published, or is. */
export const isAccepted = ({ verdict }: Pick<Attempt, 'verdict'>): boolean => verdict === 'accepted' || verdict === 'published'
