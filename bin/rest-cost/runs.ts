const minutesPerMonth = 730 * 60
const daysPerMonth = 730 / 24

const unitMinutes: Record<string, number> = { minute: 1, hour: 60, day: 1440 }

/** How many values of `from`–`to` a cron field admits: `*`, `?`, `*` + step, lists, ranges, single values (numbers only). */
const admitted = (field: string, from: number, to: number): number => {
  const found = new Set<number>()
  for (const part of field.split(',')) {
    const [range = '', step = '1'] = part.split('/')
    const [low = '', high] = range.split('-')
    const open = range === '*' || range === '?'
    const first = open ? from : Number(low)
    const last = open || (part.includes('/') && high === undefined) ? to : Number(high ?? low)
    for (let value = first; value <= last; value += Number(step)) found.add(value)
  }
  return found.size
}

/** How often an EventBridge expression runs in a month of 730 hours. Fails for one it cannot count. */
export const runsPerMonth = (expression: string): number => {
  const rate = expression.match(/^rate\((\d+) (minute|hour|day)s?\)$/)
  if (rate) return minutesPerMonth / (Number(rate[1]) * (unitMinutes[rate[2] ?? ''] ?? Number.NaN))
  const [minute, hour, day, , weekday] = expression.match(/^cron\((.+)\)$/)?.[1]?.split(' ') ?? []
  if (minute === undefined || hour === undefined || day === undefined || weekday === undefined)
    throw new Error(`"${expression}" cannot be counted; wanted rate(…) or cron(…)`)
  const perDay = admitted(minute, 0, 59) * admitted(hour, 0, 23)
  const isOpen = (field: string) => field === '*' || field === '?'
  const monthShare = isOpen(day) ? 1 : admitted(day, 1, 31) / daysPerMonth
  const weekShare = isOpen(weekday) ? 1 : weekday.split(',').length / 7
  return perDay * daysPerMonth * monthShare * weekShare
}

export const minutesBetween = (runs: number): number => minutesPerMonth / runs
