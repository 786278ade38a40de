import { bucketStart, type Grain, grain_ms, mergeUsage, UsageRow } from '../domain/usage.ts'
import type { Records } from '../ports/records.ts'
import { isoOf, readOpenHours, readRows, usagePartition } from './usage-keys.ts'

/** Half-open, in milliseconds since the epoch. */
export interface TimeWindow {
  from_ms: number
  to_ms: number
}

/** The finest grain that is surely still kept for a moment: minutes 7 days, hours 400 days, a day of margin each. */
const grainKept = (at_ms: number, now_ms: number): Grain => {
  const age_ms = now_ms - at_ms
  if (age_ms < 6 * grain_ms.day) return 'minute'
  return age_ms < 399 * grain_ms.day ? 'hour' : 'day'
}

/** Ends of a window moved to the start of their bucket in the finest grain kept; an end that is not past takes its whole minute. */
export const snapWindow = ({ from_ms, to_ms }: TimeWindow, now_ms: number): TimeWindow => ({
  from_ms: bucketStart(from_ms, grainKept(from_ms, now_ms)),
  to_ms:
    to_ms > now_ms - grain_ms.minute
      ? bucketStart(to_ms, 'minute') + grain_ms.minute
      : bucketStart(to_ms, grainKept(to_ms, now_ms)),
})

/**
 * Usage of one deployment in a window, every request exactly once: whole days from day rows, the hours beside them from hour rows,
 * and by the minute what an hour row does not know yet or the window cuts. `grain` is the coarsest row wanted; rows of one bucket
 * are merged. Sorted by time.
 */
export const readUsage = async (
  records: Pick<Records, 'query'>,
  deployment_id: string,
  window: TimeWindow,
  grain: 'hour' | 'day',
  now_ms: number,
): Promise<UsageRow[]> => {
  const { from_ms, to_ms } = snapWindow(window, now_ms)
  const open = await readOpenHours(records, deployment_id, from_ms, to_ms)
  const openDays = new Set([...open].map((hour_ms) => bucketStart(hour_ms, 'day')))
  const days = await readRows(records, deployment_id, 'day', from_ms, to_ms)
  const whole = (start_ms: number, of: Grain) => start_ms >= from_ms && start_ms + grain_ms[of] <= to_ms
  const useDay = (day_ms: number) =>
    (grain === 'day' || grainKept(day_ms, now_ms) === 'day') && whole(day_ms, 'day') && !openDays.has(day_ms)

  const rows = days.filter((row) => useDay(Date.parse(row.start)))
  for (const span of spansWithout(from_ms, to_ms, useDay)) {
    const hours = await readRows(records, deployment_id, 'hour', span.from_ms, span.to_ms)
    rows.push(...hours.filter((row) => whole(Date.parse(row.start), 'hour') && !open.has(Date.parse(row.start))))
  }
  const cut = [from_ms, to_ms].filter((end_ms) => end_ms % grain_ms.hour !== 0).map((end_ms) => bucketStart(end_ms, 'hour'))
  for (const hour_ms of new Set([...open, ...cut])) {
    rows.push(
      ...(await readRows(records, deployment_id, 'minute', Math.max(from_ms, hour_ms), Math.min(to_ms, hour_ms + grain_ms.hour))),
    )
  }
  return mergeByBucket(rows, grain)
}

/** The runs of time in [from, to) that no day row covers. */
const spansWithout = (from_ms: number, to_ms: number, covered: (day_ms: number) => boolean): TimeWindow[] => {
  const spans: TimeWindow[] = []
  for (let day_ms = bucketStart(from_ms, 'day'); day_ms < to_ms; day_ms += grain_ms.day) {
    if (covered(day_ms)) continue
    const last = spans.at(-1)
    if (last?.to_ms === day_ms) last.to_ms = day_ms + grain_ms.day
    else spans.push({ from_ms: day_ms, to_ms: day_ms + grain_ms.day })
  }
  return spans.map((span) => ({ from_ms: Math.max(span.from_ms, from_ms), to_ms: Math.min(span.to_ms, to_ms) }))
}

const mergeByBucket = (rows: readonly UsageRow[], grain: Grain): UsageRow[] => {
  const buckets = Map.groupBy(rows, (row) => bucketStart(Date.parse(row.start), grain))
  return [...buckets]
    .sort(([a], [b]) => a - b)
    .flatMap(([start_ms, parts]) => mergeUsage(parts, { grain, start: isoOf(start_ms) }) ?? [])
}

/**
 * When a deployment last had a request, from its newest row; undefined when it never had one. Finer rows are newer but kept shorter,
 * and a deployment may be allowed to idle for longer than they are.
 */
export const lastRequestFromRows = async (records: Pick<Records, 'query'>, deployment_id: string): Promise<Date | undefined> => {
  for (const grain of ['minute', 'hour', 'day'] as const) {
    const range = { pk: usagePartition(deployment_id), from: `${grain}#`, to: `${grain}#~`, order: 'desc' as const, limit: 1 }
    const [newest] = (await records.query(range)).items
    if (newest) return new Date(UsageRow.parse(newest.body).last_request_at)
  }
  return undefined
}
