import * as z from 'zod'
import type { Footprint } from './footprint.ts'
import { LatencySketchCodec, mergeSketches } from './latency-sketch.ts'
import { type CostLines, CostLinesCodec, noCost, sumCosts } from './money.ts'

/** One inference as the edge saw it; buffered, then merged into usage rows. */
export interface InferenceSample {
  organization_id: string
  deployment_id: string
  deployment_type: string
  revision: number
  /** Milliseconds since the epoch when it finished. */
  at_ms: number
  /** Whole request at the platform's edge, microseconds. */
  latency_us: number
  compute_us: number
  cpu_us: number
  cold: boolean
  init_us: number
  error: boolean
  bytes_in: number
  bytes_out: number
  memory_bytes: number
  /** What is billed: the footprint's memory, else `resource_requirements.memory`, in bytes. */
  memory_limit_bytes: number
  /** What its deployer provisioned, where that decides the price. */
  footprint?: Footprint | undefined
}

export const Grain = z.enum(['minute', 'hour', 'day'])
export type Grain = z.infer<typeof Grain>

export const grain_ms = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const satisfies Record<Grain, number>

/** Start of the bucket that holds a moment, both in milliseconds since the epoch; days are UTC days. */
export const bucketStart = (at_ms: number, grain: Grain): number => Math.floor(at_ms / grain_ms[grain]) * grain_ms[grain]

const sum = z.number().nonnegative()
const count = z.number().int().nonnegative()
const names = z.array(z.string())

/**
 * What one deployment used in one bucket of time. A minute row is one flush of a meter and never changes; hour and day rows are
 * merges of minute rows. Everything in it can be added up, so rows merge in any order and grouping.
 */
export const UsageRow = z.object({
  organization_id: z.string(),
  deployment_id: z.string(),
  deployment_type: z.string(),
  grain: Grain,
  /** ISO 8601, start of the bucket. */
  start: z.string(),
  /** Flush id of a minute row, `roll-up` otherwise. */
  source: z.string(),
  revisions: z.array(count),
  requests: count,
  errors: count,
  cold_starts: count,
  latency: LatencySketchCodec,
  latency_sum_us: sum,
  compute_us: sum,
  cpu_us: sum,
  init_us: sum,
  /** Megabytes (2^20) × milliseconds, each request rounded up to 1 ms, INIT included; 1,024,000 are one GB-second. */
  billed_mb_ms: sum,
  /** Sum over the samples that reported their memory. */
  memory_sum_kib: sum,
  memory_samples: count,
  memory_peak_bytes: count,
  memory_limit_bytes: count,
  bytes_in: sum,
  bytes_out: sum,
  /** ISO 8601. */
  last_request_at: z.string(),
  /** Frozen when flushed. Without a price the lines are 0 and `unpriced` says why: never read them as "free". */
  cost: CostLinesCodec,
  price_versions: names,
  cost_bases: names,
  unpriced: names,
  unpriced_requests: count,
})
export type UsageRow = z.output<typeof UsageRow>

export const gbSeconds = (billed_mb_ms: number): number => billed_mb_ms / 1_024_000

const total = (rows: readonly UsageRow[], pick: (row: UsageRow) => number) => rows.reduce((sum_, row) => sum_ + pick(row), 0)
const peak = (rows: readonly UsageRow[], pick: (row: UsageRow) => number) =>
  rows.reduce((top, row) => Math.max(top, pick(row)), 0)
const union = <T extends string | number>(rows: readonly UsageRow[], pick: (row: UsageRow) => T[]) =>
  [...new Set(rows.flatMap(pick))].sort((a, b) => (a < b ? -1 : 1))

/** One row of everything in the given rows of one deployment; undefined when there are none. */
export const mergeUsage = (rows: readonly UsageRow[], bucket: { grain: Grain; start: string }): UsageRow | undefined => {
  const [first] = rows
  if (!first) return undefined
  return {
    organization_id: first.organization_id,
    deployment_id: first.deployment_id,
    deployment_type: first.deployment_type,
    ...bucket,
    source: 'roll-up',
    ...sumUsage(rows),
    revisions: union(rows, (row) => row.revisions),
    last_request_at: rows.reduce((last, row) => (row.last_request_at > last ? row.last_request_at : last), ''),
    price_versions: union(rows, (row) => row.price_versions),
    cost_bases: union(rows, (row) => row.cost_bases),
    unpriced: union(rows, (row) => row.unpriced),
  }
}

/** The figures of rows of any deployments, added up. */
export const sumUsage = (rows: readonly UsageRow[]) => ({
  requests: total(rows, (row) => row.requests),
  errors: total(rows, (row) => row.errors),
  cold_starts: total(rows, (row) => row.cold_starts),
  latency: mergeSketches(rows.map((row) => row.latency)),
  latency_sum_us: total(rows, (row) => row.latency_sum_us),
  compute_us: total(rows, (row) => row.compute_us),
  cpu_us: total(rows, (row) => row.cpu_us),
  init_us: total(rows, (row) => row.init_us),
  billed_mb_ms: total(rows, (row) => row.billed_mb_ms),
  memory_sum_kib: total(rows, (row) => row.memory_sum_kib),
  memory_samples: total(rows, (row) => row.memory_samples),
  memory_peak_bytes: peak(rows, (row) => row.memory_peak_bytes),
  memory_limit_bytes: peak(rows, (row) => row.memory_limit_bytes),
  bytes_in: total(rows, (row) => row.bytes_in),
  bytes_out: total(rows, (row) => row.bytes_out),
  cost: rows.reduce<CostLines>((costs, row) => sumCosts(costs, row.cost), noCost),
  unpriced_requests: total(rows, (row) => row.unpriced_requests),
})
export type UsageSum = ReturnType<typeof sumUsage>
