import { gateOf } from '../../layers/core/domain/accuracy-gate.ts'
import { SLOWEST_ACCEPTED_PERCENT } from '../../layers/core/domain/judge-candidate.ts'
import type { Judged } from './judge.ts'
import type { Subject } from './subjects/subject.ts'

/**
 * Why a published file should not have been, by a measurement it was not chosen by: surely slower than the original (the whole 95 %
 * interval beyond the line), or surely worse at its task; undefined when it holds. One chosen for a wanted size may be slower, which
 * its verdict said; it counts here all the same.
 */
export const regression = ({ latency_interval, task }: Judged, subject: Subject): string | undefined => {
  if (latency_interval && latency_interval.high_percent < SLOWEST_ACCEPTED_PERCENT)
    return `slower: latency ${-latency_interval.high_percent} to ${-latency_interval.low_percent} % more`
  const { task_loss } = gateOf(subject.metadata ?? {})
  if (task && task.loss.interval[0] > task_loss)
    return `worse: ${task.metric} loses ${task.loss.value}, at least ${task.loss.interval[0]}`
  return undefined
}
