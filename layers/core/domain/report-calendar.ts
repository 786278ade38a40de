/**
 * Wall clocks of time zones, from the zone data of the runtime. A date is `YYYY-MM-DD` in the proleptic Gregorian calendar;
 * days are counted as UTC days of that date, so that no arithmetic meets a zone's changes.
 */
export interface WallTime {
  date: string
  hour: number
  minute: number
}

export type Frequency = 'daily' | 'weekly' | 'monthly'

/** When reports are due. `weekday` 1 (Monday) to 7 (Sunday), `day` 1 to 28; each counts for its own frequency only. */
export interface Timing {
  frequency: Frequency
  weekday: number
  day: number
  hour: number
  time_zone: string
}

const day_ms = 86_400_000
const minute_ms = 60_000

const formats = new Map<string, Intl.DateTimeFormat>()
const formatOf = (time_zone: string): Intl.DateTimeFormat => {
  let format = formats.get(time_zone)
  if (format === undefined) {
    const parts = {
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    } as const
    format = new Intl.DateTimeFormat('en-GB', { timeZone: time_zone, hourCycle: 'h23', calendar: 'gregory', ...parts })
    formats.set(time_zone, format)
  }
  return format
}

/** A name of the IANA database, as `Europe/Berlin` or `UTC`; never a bare offset, which knows no summer time. */
export const isTimeZone = (name: string): boolean => {
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/.test(name)) return false
  try {
    formatOf(name)
    return true
  } catch {
    return false
  }
}

/** What a clock on the wall shows at a moment. */
export const wallTime = (at_ms: number, time_zone: string): WallTime => {
  const parts = new Map(
    formatOf(time_zone)
      .formatToParts(at_ms)
      .map(({ type, value }) => [type, value]),
  )
  const part = (name: Intl.DateTimeFormatPartTypes) => parts.get(name) ?? '00'
  return {
    date: `${part('year')}-${part('month')}-${part('day')}`,
    hour: Number(part('hour')),
    minute: Number(part('minute')),
  }
}

const asUtc = ({ date, hour, minute }: WallTime): number => Date.parse(`${date}T00:00:00Z`) + (hour * 60 + minute) * minute_ms

/**
 * The first moment at which the wall clock shows a time. A time that a zone skips (summer time begins) is the moment the clock would
 * have shown it without the change: 02:00 becomes 03:00. Of a time that comes twice (summer time ends) it is the first.
 */
export const instantOf = (wall: WallTime, time_zone: string): number => {
  const utc_ms = asUtc(wall)
  const offsetAt = (at_ms: number): number => asUtc(wallTime(at_ms, time_zone)) - Math.floor(at_ms / minute_ms) * minute_ms
  const before = offsetAt(utc_ms - day_ms)
  const candidates = [...new Set([before, offsetAt(utc_ms + day_ms)])].map((offset) => utc_ms - offset).sort((a, b) => a - b)
  const fits = candidates.find((at_ms) => asUtc(wallTime(at_ms, time_zone)) === utc_ms)
  return fits ?? utc_ms - before
}

export const startOfDay = (date: string, time_zone: string): number => instantOf({ date, hour: 0, minute: 0 }, time_zone)

export const addDays = (date: string, days: number): string =>
  new Date(Date.parse(`${date}T00:00:00Z`) + days * day_ms).toISOString().slice(0, 10)

/** The same day of the month before; the last one of that month where it has no such day. */
const monthBefore = (date: string): string => {
  const [year = 0, month = 1, day = 1] = date.split('-').map(Number)
  const last_day = new Date(Date.UTC(year, month - 1, 0)).getUTCDate()
  return new Date(Date.UTC(year, month - 2, Math.min(day, last_day))).toISOString().slice(0, 10)
}

/** Every date from one up to, not including, another. */
export const datesBetween = (from: string, to: string): string[] => {
  const dates: string[] = []
  for (let date = from; date < to; date = addDays(date, 1)) dates.push(date)
  return dates
}

const isDueOn = (date: string, { frequency, weekday, day }: Timing): boolean => {
  if (frequency === 'daily') return true
  const on = new Date(`${date}T00:00:00Z`)
  return frequency === 'weekly' ? (on.getUTCDay() || 7) === weekday : on.getUTCDate() === day
}

export interface Due {
  /** Local date: what makes a report of a schedule the only one of its day. */
  date: string
  at_ms: number
}

const dueOn = (date: string, timing: Timing): Due => ({
  date,
  at_ms: instantOf({ date, hour: timing.hour, minute: 0 }, timing.time_zone),
})

/** No two times a report is due lie further apart, with days of margin for any zone. */
const furthest_days = 35

/** The last time due at or before a moment. */
export const lastDue = (timing: Timing, now_ms: number): Due => {
  const today = wallTime(now_ms, timing.time_zone).date
  for (let back = -1; back <= furthest_days; back += 1) {
    const date = addDays(today, -back)
    if (!isDueOn(date, timing)) continue
    const due = dueOn(date, timing)
    if (due.at_ms <= now_ms) return due
  }
  throw new RangeError(`no due time in ${furthest_days} days before ${new Date(now_ms).toISOString()}`)
}

/** The first time due after a moment. */
export const nextDue = (timing: Timing, now_ms: number): Due => {
  const today = wallTime(now_ms, timing.time_zone).date
  for (let ahead = -1; ahead <= furthest_days; ahead += 1) {
    const date = addDays(today, ahead)
    if (!isDueOn(date, timing)) continue
    const due = dueOn(date, timing)
    if (due.at_ms > now_ms) return due
  }
  throw new RangeError(`no due time in ${furthest_days} days after ${new Date(now_ms).toISOString()}`)
}

/** Whole local days: `from` is the first, `to` the day after the last. */
export interface ReportPeriod {
  from: string
  to: string
  time_zone: string
}

/** The day, the week or the month that ended when the day `date` began. */
export const periodBefore = (frequency: Frequency, date: string, time_zone: string): ReportPeriod => {
  const from = frequency === 'monthly' ? monthBefore(date) : addDays(date, frequency === 'weekly' ? -7 : -1)
  return { from, to: date, time_zone }
}

/** As many days again, before it. */
export const periodBeforeThat = ({ from, to, time_zone }: ReportPeriod): ReportPeriod => ({
  from: addDays(from, -datesBetween(from, to).length),
  to: from,
  time_zone,
})
