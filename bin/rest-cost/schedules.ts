import { priceListName } from '../../layers/core/domain/fleet.ts'
import type { PriceBook } from '../../layers/core/domain/price.ts'
import { assumptions } from './assumptions.ts'
import { type Line, line, total } from './lines.ts'
import { minutesBetween } from './runs.ts'

/** A schedule as far as its price goes. */
export interface ScheduleFacts {
  id: string
  runs_per_month: number
  memory_mb: number
}

const runTime_ms = ({ id, runs_per_month }: ScheduleFacts): number =>
  assumptions.long_run_ms[id] ??
  (minutesBetween(runs_per_month) <= assumptions.warm_within_minutes ? assumptions.warm_run_ms : assumptions.cold_run_ms)

/** What one schedule costs a month at rest: Scheduler, Lambda (request, GB-seconds), its queries and its log. */
export const scheduleLines = (facts: ScheduleFacts, prices: PriceBook): Line[] => {
  const { runs_per_month: runs, memory_mb } = facts
  const log_gb = (runs * assumptions.log_bytes_per_run) / 2 ** 30
  const gb_s = (runs * runTime_ms(facts) * memory_mb) / 1024 / 1000
  return [
    line(prices, 'EventBridge Scheduler', 'aws/eventbridge/scheduler-invocation', runs, 'runs of schedules'),
    line(prices, 'Lambda', 'aws/lambda/request', runs, 'requests of scheduled functions'),
    line(prices, 'Lambda', 'aws/lambda/arm64/gb-second', gb_s, 'GB-seconds of scheduled functions, arm64'),
    line(
      prices,
      'DynamoDB',
      'aws/dynamodb/on-demand/read-request-unit',
      runs * assumptions.read_units_per_run,
      'reads of schedules',
    ),
    line(prices, 'CloudWatch', 'aws/cloudwatch/logs/ingest-gb', log_gb, 'log lines of scheduled functions'),
    line(prices, 'CloudWatch', 'aws/cloudwatch/logs/gb-month', log_gb * assumptions.log_months_kept, 'logs kept'),
  ]
}

/** The same as the schedule's row says it. */
export const scheduleRestCost = (facts: ScheduleFacts, prices: PriceBook): { usd_per_month: number; basis: string } => ({
  usd_per_month: Math.round(total(scheduleLines(facts, prices)) * 1e4) / 1e4,
  basis: `${Math.round(facts.runs_per_month).toLocaleString('en-US')} runs of ${runTime_ms(facts).toLocaleString('en-US')} ms at ${facts.memory_mb.toLocaleString('en-US')} MB arm64 with ${assumptions.read_units_per_run} read unit and ${assumptions.log_bytes_per_run.toLocaleString('en-US')} bytes of log each, ${priceListName(prices.version)} us-east-1`,
})
