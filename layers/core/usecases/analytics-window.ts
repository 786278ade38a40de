import { type FieldError, PlatformError } from '../contract/errors.ts'
import { grain_ms } from '../domain/usage.ts'
import type { TimeWindow } from './read-usage.ts'

export const defaultWindow_days = 30
export const longestWindow_days = 400
/** Clocks of callers may be this far ahead. */
const skew_ms = grain_ms.minute

/**
 * The time an analysis covers: up to `end_time` (default now) from `start_time` (default 30 days before the end).
 * Fails with `invalid_request` when the end is not after the start, an end lies in the future, or it is longer than 400 days.
 */
export const analyticsWindow = (
  query: { start_time?: string | undefined; end_time?: string | undefined },
  now: Date,
): TimeWindow => {
  const now_ms = now.getTime()
  const to_ms = query.end_time === undefined ? now_ms : Date.parse(query.end_time)
  const from_ms = query.start_time === undefined ? to_ms - defaultWindow_days * grain_ms.day : Date.parse(query.start_time)
  const got = `got start_time ${new Date(from_ms).toISOString()} and end_time ${new Date(to_ms).toISOString()}`
  const errors: FieldError[] = []
  if (query.start_time !== undefined && from_ms > now_ms + skew_ms)
    errors.push({ pointer: 'query/start_time', detail: `lies in the future: ${got}, now is ${now.toISOString()}` })
  if (to_ms > now_ms + skew_ms)
    errors.push({ pointer: 'query/end_time', detail: `lies in the future: ${got}, now is ${now.toISOString()}` })
  if (to_ms <= from_ms) errors.push({ pointer: 'query/end_time', detail: `${got}; wanted an end after the start` })
  if (to_ms - from_ms > longestWindow_days * grain_ms.day)
    errors.push({ pointer: 'query/start_time', detail: `${got}; wanted at most ${longestWindow_days} days` })
  if (errors.length > 0) throw new PlatformError('invalid_request', 'The time window cannot be analysed', { errors })
  return { from_ms, to_ms: Math.min(to_ms, now_ms) }
}
