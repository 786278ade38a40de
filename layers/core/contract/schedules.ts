/** What runs by the clock. A schedule's code is `functions/schedules/<id>.ts`; `lib/` makes EventBridge schedules, `bin/local.ts` timers. */
export interface ScheduleRow {
  id: string
  summary: string
  /** `rate(n seconds|minutes|hours|days)`; below a minute it runs once a minute on AWS. */
  every: { seconds: number } | { cron: string }
  /** A slower rate on AWS, where every run has a price, and why nothing is lost by it. */
  aws_every?: { seconds: number; reason: string }
  retries: number
  /** Where a run takes more than 300 seconds, or other memory than 512 MB. */
  timeout_s?: number
  memory_mb?: number
  needs: readonly string[]
  /** What one month of it costs on AWS when nothing is deployed, in USD, with how it was computed. */
  cost_at_rest: { usd_per_month: number; basis: string }
}

export const schedules = {
  'hibernate-idle': {
    id: 'hibernate-idle',
    summary: 'Puts deployments to sleep that nobody called for longer than their idle time-out, with reason and savings',
    every: { seconds: 2 },
    aws_every: { seconds: 300, reason: 'a deployment that idles five minutes longer costs less than asking every minute' },
    retries: 0,
    memory_mb: 256,
    needs: ['records:read', 'records:write', 'workflows:start', 'prices:read'],
    cost_at_rest: {
      usd_per_month: 0.0393,
      basis: '8,760 runs of 700 ms at 256 MB arm64 with 1 read unit and 1,500 bytes of log each, price list 2026-11-20 us-east-1',
    },
  },
  'roll-up-usage': {
    id: 'roll-up-usage',
    summary: 'Merges minute rows into hours and hours into days',
    every: { seconds: 60 },
    aws_every: { seconds: 3600, reason: 'until an hour is merged it is read by the minute: the figures are the same' },
    retries: 1,
    memory_mb: 256,
    needs: ['records:read', 'records:write'],
    cost_at_rest: {
      usd_per_month: 0.0033,
      basis: '730 runs of 700 ms at 256 MB arm64 with 1 read unit and 1,500 bytes of log each, price list 2026-11-20 us-east-1',
    },
  },
  'repair-in-flight': {
    id: 'repair-in-flight',
    summary:
      'Finishes or reports what a crash or a lost call left half done: deployments between states, optimisations nobody works on',
    every: { seconds: 60 },
    aws_every: { seconds: 300, reason: 'pipelines retry by themselves; this is for what they gave up' },
    retries: 1,
    memory_mb: 256,
    needs: ['records:read', 'records:write', 'artifacts:remove', 'workflows:start', 'processing:end'],
    cost_at_rest: {
      usd_per_month: 0.0393,
      basis: '8,760 runs of 700 ms at 256 MB arm64 with 1 read unit and 1,500 bytes of log each, price list 2026-11-20 us-east-1',
    },
  },
  'sweep-storage': {
    id: 'sweep-storage',
    summary: 'Removes uploads past their time, and the bytes of models that were deleted a day ago',
    every: { seconds: 600 },
    aws_every: { seconds: 3600, reason: 'bytes that wait an hour longer cost less than asking six times as often' },
    retries: 1,
    needs: ['records:read', 'records:write', 'artifacts:remove'],
    cost_at_rest: {
      usd_per_month: 0.005,
      basis: '730 runs of 700 ms at 512 MB arm64 with 1 read unit and 1,500 bytes of log each, price list 2026-11-20 us-east-1',
    },
  },
  'accrue-standing-costs': {
    id: 'accrue-standing-costs',
    summary: 'Writes what every deployment cost in the hour that ended, whether anybody called it or not',
    every: { seconds: 3600 },
    retries: 1,
    memory_mb: 256,
    needs: ['records:read', 'records:write', 'prices:read'],
    cost_at_rest: {
      usd_per_month: 0.0033,
      basis: '730 runs of 700 ms at 256 MB arm64 with 1 read unit and 1,500 bytes of log each, price list 2026-11-20 us-east-1',
    },
  },
  'refresh-prices': {
    id: 'refresh-prices',
    summary: 'Reads the price lists of the vendors; what looks wrong is held back until an operator accepts it',
    every: { seconds: 86_400 },
    retries: 1,
    needs: ['records:read', 'records:write', 'prices:read', 'prices:refresh'],
    cost_at_rest: {
      usd_per_month: 0.0122,
      basis: '30 runs of 60,000 ms at 512 MB arm64 with 1 read unit and 1,500 bytes of log each, price list 2026-11-20 us-east-1',
    },
  },
  'send-cost-reports': {
    id: 'send-cost-reports',
    summary: 'Mails the cost reports that are due; every quarter of an hour, because somewhere an hour begins then',
    every: { seconds: 900 },
    retries: 1,
    needs: ['records:read', 'records:write', 'mail:send', 'prices:read'],
    cost_at_rest: {
      usd_per_month: 0.0199,
      basis: '2,920 runs of 700 ms at 512 MB arm64 with 1 read unit and 1,500 bytes of log each, price list 2026-11-20 us-east-1',
    },
  },
  'archive-unused-models': {
    id: 'archive-unused-models',
    summary:
      'Compresses and archives the files of models nobody serves; deletes what was announced a week before, where a policy says so',
    every: { seconds: 86_400 },
    retries: 1,
    timeout_s: 900,
    memory_mb: 1769,
    needs: ['records:read', 'records:write', 'artifacts:read', 'artifacts:write', 'prices:read'],
    cost_at_rest: {
      usd_per_month: 0.0006,
      basis: '30 runs of 700 ms at 1,769 MB arm64 with 1 read unit and 1,500 bytes of log each, price list 2026-11-20 us-east-1',
    },
  },
  'reconcile-deployments': {
    id: 'reconcile-deployments',
    summary:
      'Repairs what was provisioned for deployments and has drifted, and removes what is left of deployments that are gone',
    every: { seconds: 900 },
    retries: 1,
    // 200 s of looking, and what its last deployment and the sweep then still wait for.
    timeout_s: 900,
    needs: ['records:read', 'records:write', 'artifacts:read', 'artifacts:write', 'deployers:deploy', 'deployers:reconcile'],
    cost_at_rest: {
      usd_per_month: 0.0452,
      basis:
        '2,920 runs of 2,000 ms at 512 MB arm64 with 1 read unit and 1,500 bytes of log each, price list 2026-11-20 us-east-1',
    },
  },
} as const satisfies Record<string, ScheduleRow>

export type ScheduleId = keyof typeof schedules
