import type { ReportPeriod } from './report-calendar.ts'
import { addDays } from './report-calendar.ts'

/** Characters that change how others are shown (direction marks, other formats, controls) are left out of what users named. */
export const visible = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu, ' ').trim()

/** `$1,234.56`; small amounts with what tells them apart, never a false zero. */
export const shownUsd = (usd: number): string => {
  const size = Math.abs(usd)
  const sign = usd < 0 ? '-' : ''
  if (size === 0) return '$0'
  if (size < 0.0001) return `${sign}<$0.0001`
  const digits = size < 1 ? 4 : 2
  return `${sign}$${size.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })}`
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const partsOf = (date: string) => {
  const [year = 0, month = 1, day = 1] = date.split('-').map(Number)
  return { year, month: months[month - 1] ?? '', day }
}

/** `9–15 Nov 2026`, `30 Oct – 5 Nov 2026`, `1 Nov 2026`. */
export const shownDates = ({ from, to }: ReportPeriod, with_year = true): string => {
  const a = partsOf(from)
  const b = partsOf(addDays(to, -1))
  const year = with_year ? ` ${b.year}` : ''
  if (from >= addDays(to, -1)) return `${b.day} ${b.month}${year}`
  if (a.year !== b.year) return `${a.day} ${a.month} ${a.year} – ${b.day} ${b.month} ${b.year}`
  return a.month === b.month ? `${a.day}–${b.day} ${b.month}${year}` : `${a.day} ${a.month} – ${b.day} ${b.month}${year}`
}

/** `+12 %`; nothing to compare with has no figure. */
export const shownChange = ({ usd, previous_usd }: { usd: number; previous_usd: number }): string => {
  if (previous_usd === 0) return usd === 0 ? '' : 'new'
  const percent = ((usd - previous_usd) / previous_usd) * 100
  if (Math.abs(percent) < 0.5) return '0 %'
  return percent > 999 ? '>+999 %' : `${percent > 0 ? '+' : '-'}${Math.abs(percent).toFixed(0)} %`
}

export const shownHours = (hours: number): string =>
  hours >= 48 ? `${(hours / 24).toFixed(1)} days` : `${hours.toFixed(1)} hours`

/** `how ours compares` with an always-on price. */
export const shownSaving = (percentage: number | null): string => {
  if (percentage === null) return 'no price'
  if (percentage > 99.99) return '>99.99 % less here'
  if (percentage >= 0) return `${percentage.toFixed(percentage > 99 && percentage < 100 ? 2 : 0)} % less here`
  return `${Math.abs(percentage).toFixed(0)} % more here`
}

export const moreAdvice = (left_out: number): string => `${left_out} more under GET /analytics/suggestions and /analytics/cost.`
