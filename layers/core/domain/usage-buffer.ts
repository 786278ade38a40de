import { billedDuration_ms, billedMemory_mb } from './cost.ts'
import type { Footprint } from './footprint.ts'
import { addLatency, emptySketch, type LatencySketch } from './latency-sketch.ts'
import { bucketStart, type InferenceSample } from './usage.ts'

/** Samples of one deployment, revision and minute on their way to a usage row. Mutable: `record` is on the path of every inference. */
export interface UsageBuffer {
  organization_id: string
  deployment_id: string
  deployment_type: string
  revision: number
  memory_limit_bytes: number
  footprint: Footprint | undefined
  minute_ms: number
  opened_ms: number
  last_ms: number
  requests: number
  errors: number
  cold_starts: number
  latency: LatencySketch
  latency_sum_us: number
  compute_us: number
  cpu_us: number
  init_us: number
  billed_ms: number
  memory_sum_kib: number
  memory_samples: number
  memory_peak_bytes: number
  bytes_in: number
  bytes_out: number
}

/** A figure that can be added up: whole and not negative, 0 for what is no number. One bad sample must not spoil a row. */
const whole = (figure: number): number => (figure > 0 && figure <= Number.MAX_SAFE_INTEGER ? Math.round(figure) : 0)

export const openBuffer = (sample: InferenceSample): UsageBuffer => ({
  organization_id: sample.organization_id,
  deployment_id: sample.deployment_id,
  deployment_type: sample.deployment_type,
  revision: sample.revision,
  memory_limit_bytes: whole(sample.memory_limit_bytes),
  footprint: sample.footprint,
  minute_ms: bucketStart(sample.at_ms, 'minute'),
  opened_ms: sample.at_ms,
  last_ms: sample.at_ms,
  requests: 0,
  errors: 0,
  cold_starts: 0,
  latency: emptySketch(),
  latency_sum_us: 0,
  compute_us: 0,
  cpu_us: 0,
  init_us: 0,
  billed_ms: 0,
  memory_sum_kib: 0,
  memory_samples: 0,
  memory_peak_bytes: 0,
  bytes_in: 0,
  bytes_out: 0,
})

/** Whether a sample may go into this buffer: same minute, revision, footprint and billed memory. */
export const takes = (buffer: UsageBuffer, sample: InferenceSample): boolean =>
  sample.at_ms >= buffer.minute_ms &&
  sample.at_ms < buffer.minute_ms + 60_000 &&
  sample.revision === buffer.revision &&
  sample.footprint === buffer.footprint &&
  whole(sample.memory_limit_bytes) === buffer.memory_limit_bytes

export const addSample = (buffer: UsageBuffer, sample: InferenceSample): void => {
  const latency_us = whole(sample.latency_us)
  const compute_us = whole(sample.compute_us)
  const init_us = whole(sample.init_us)
  buffer.requests++
  if (sample.error) buffer.errors++
  if (sample.cold) buffer.cold_starts++
  if (sample.at_ms > buffer.last_ms) buffer.last_ms = sample.at_ms
  addLatency(buffer.latency, latency_us)
  buffer.latency_sum_us += latency_us
  buffer.compute_us += compute_us
  buffer.cpu_us += whole(sample.cpu_us)
  buffer.init_us += init_us
  buffer.billed_ms += billedDuration_ms(compute_us, init_us)
  buffer.bytes_in += whole(sample.bytes_in)
  buffer.bytes_out += whole(sample.bytes_out)
  const memory_bytes = whole(sample.memory_bytes)
  if (memory_bytes === 0) return
  buffer.memory_sum_kib += Math.round(memory_bytes / 1024)
  buffer.memory_samples++
  if (memory_bytes > buffer.memory_peak_bytes) buffer.memory_peak_bytes = memory_bytes
}

/** The figures of the row to be, before its price. */
export const closeBuffer = (buffer: UsageBuffer) => {
  const { revision, minute_ms, opened_ms, last_ms, billed_ms, ...figures } = buffer
  return {
    ...figures,
    grain: 'minute' as const,
    start: new Date(minute_ms).toISOString(),
    revisions: [revision],
    billed_mb_ms: billed_ms * billedMemory_mb(buffer.memory_limit_bytes),
    last_request_at: new Date(last_ms).toISOString(),
  }
}
