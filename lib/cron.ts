import { Duration } from 'aws-cdk-lib'
import { ScheduleExpression } from 'aws-cdk-lib/aws-scheduler'
import type { ScheduleRow } from '../layers/core/contract/schedules.ts'

const days = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT', 'SUN']

/**
 * EventBridge knows no rate below a minute: what runs every few seconds on one machine runs every minute there, or as often as the row
 * says for AWS.
 */
export const eventBridgeExpression = (row: ScheduleRow): ScheduleExpression => {
  const every = row.aws_every ?? row.every
  return 'cron' in every
    ? ScheduleExpression.expression(`cron(${eventBridgeCron(every.cron)})`)
    : ScheduleExpression.rate(Duration.minutes(Math.max(1, Math.round(every.seconds / 60))))
}

/**
 * `minute hour day month weekday` (POSIX) as EventBridge writes it: six fields, weekdays by name because its numbers begin at one, and
 * exactly one of day and weekday open. Fails for a cron that restricts both, which means "either" to POSIX and nothing to EventBridge.
 */
export const eventBridgeCron = (cron: string): string => {
  const fields = cron.trim().split(/\s+/)
  const [minute, hour, day, month, weekday] = fields.length === 6 ? fields.slice(1) : fields
  if (![5, 6].includes(fields.length) || weekday === undefined)
    throw new Error(`"${cron}" is no cron expression; wanted minute hour day month weekday`)
  if (day !== '*' && weekday !== '*') throw new Error(`"${cron}" restricts day and weekday; EventBridge takes only one of them`)
  const named = weekday.replace(/\d/g, (digit) => days[Number(digit)] ?? digit)
  return weekday === '*' ? `${minute} ${hour} ${day} ${month} ? *` : `${minute} ${hour} ? ${month} ${named} *`
}
