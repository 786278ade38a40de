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

/** What is left of size × latency: half of both is as good as a quarter of one. */
export const remains = ({ original, candidate }: Pick<Evidence, 'original' | 'candidate'>): number =>
  (candidate.size_bytes / Math.max(1, original.size_bytes)) * (candidate.p50_ms / Math.max(1e-6, original.p50_ms))
