import { latencyAt } from './latency-sketch.ts'
import type { UsageRow } from './usage.ts'

export interface Anomaly {
  type: string
  message: string
  /** ISO 8601, start of the hour. */
  timestamp: string
}

/** Hours with fewer requests say nothing reliable. */
const leastRequests = 20
/** With fewer hours there is no history: the fixed thresholds alone decide. */
const leastHistory = 12
/** Modified z-score beyond which a value is an outlier (Iglewicz and Hoaglin, 1993). */
const outlier = 3.5
/** Makes the median absolute deviation an estimate of the standard deviation of normal data. */
const madScale = 1.4826
/** Without history: an error rate in percent and a p95 in ms that are bad for any deployment. */
const fixedErrorRate = 5
const fixedLatency_ms = 1000

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2
}

/**
 * The value beyond which an hour is unlike the deployment's own: median + 3.5 robust standard deviations of its hours (one odd hour
 * moves neither), where the deviation counts as at least `floor` (a steady series would make noise an outlier). Undefined without history.
 */
export const ownThreshold = (history: readonly number[], floor: number): number | undefined => {
  if (history.length < leastHistory) return undefined
  const middle = median(history)
  const spread = madScale * median(history.map((value) => Math.abs(value - middle)))
  return middle + outlier * Math.max(spread, floor)
}

const errorRate = (row: UsageRow): number => (row.errors / row.requests) * 100
const p95_ms = (row: UsageRow): number => (latencyAt(row.latency, 0.95) ?? 0) / 1000
const shown = (value: number): string => String(Number(value.toPrecision(3)))

/**
 * Hours that stand out from the deployment's own history in the window: error rate and p95 latency (each floor 10 % of the median
 * and 1 point or 5 ms), and request counts (floor half the median and 20 requests). Newest first.
 */
export const anomaliesOf = (hours: readonly UsageRow[]): Anomaly[] => {
  const counted = hours
    .filter((row) => row.requests >= leastRequests)
    .map((row) => ({ timestamp: row.start, requests: row.requests, errors: errorRate(row), p95: p95_ms(row) }))
  const threshold = (figures: readonly number[], least: number, share: number) =>
    ownThreshold(figures, Math.max(least, median(figures) * share))
  const limits = {
    errors:
      threshold(
        counted.map((one) => one.errors),
        1,
        0.1,
      ) ?? fixedErrorRate,
    p95:
      threshold(
        counted.map((one) => one.p95),
        5,
        0.1,
      ) ?? fixedLatency_ms,
    requests:
      threshold(
        counted.map((one) => one.requests),
        leastRequests,
        0.5,
      ) ?? Number.POSITIVE_INFINITY,
  }
  return counted.reverse().flatMap(({ timestamp, requests, errors, p95 }) => {
    const found: Anomaly[] = []
    const note = (type: string, message: string) => found.push({ type, message, timestamp })
    if (errors > limits.errors)
      note('high_error_rate', `High error rate detected: ${shown(errors)}% (threshold: ${shown(limits.errors)}%)`)
    if (p95 > limits.p95) note('high_latency', `High latency detected: p95 ${shown(p95)}ms (threshold: ${shown(limits.p95)}ms)`)
    if (requests > limits.requests)
      note('traffic_spike', `Unusual traffic: ${requests} requests in an hour (threshold: ${Math.round(limits.requests)})`)
    return found
  })
}
