/** What runs by the clock. A schedule's code is `functions/schedules/<id>.ts`; `lib/` makes EventBridge schedules, `bin/local.ts` timers. */
export interface ScheduleRow {
  id: string
  summary: string
  /** `rate(n seconds|minutes|hours|days)`; below a minute it runs once a minute on AWS. */
  every: { seconds: number } | { cron: string }
  retries: number
  needs: readonly string[]
  /** What one month of it costs on AWS when nothing is deployed, in USD, with how it was computed. */
  cost_at_rest: { usd_per_month: number; basis: string }
}

export const schedules = {
  'hibernate-idle': {
    id: 'hibernate-idle',
    summary: 'Puts deployments to sleep that nobody called for longer than their idle time-out, with reason and savings',
    every: { seconds: 2 },
    retries: 0,
    needs: ['records:read', 'records:write', 'workflows:start'],
    cost_at_rest: {
      usd_per_month: 0.02,
      basis: '43,200 runs of 50 ms at 512 MB arm64 and one query each, list price 2026-11-20 us-east-1',
    },
  },
  'roll-up-usage': {
    id: 'roll-up-usage',
    summary: 'Merges minute rows into hours and hours into days',
    every: { seconds: 60 },
    retries: 1,
    needs: ['records:read', 'records:write'],
    cost_at_rest: {
      usd_per_month: 0.02,
      basis: '43,200 runs of 50 ms at 512 MB arm64 and one query each, list price 2026-11-20 us-east-1',
    },
  },
  'repair-in-flight': {
    id: 'repair-in-flight',
    summary:
      'Finishes or reports what a crash or a lost call left half done: deployments between states, optimisations nobody works on',
    every: { seconds: 60 },
    retries: 1,
    needs: ['records:read', 'records:write', 'artifacts:write', 'workflows:start'],
    cost_at_rest: {
      usd_per_month: 0.02,
      basis: '43,200 runs of 50 ms at 512 MB arm64 and one query each, list price 2026-11-20 us-east-1',
    },
  },
  'sweep-storage': {
    id: 'sweep-storage',
    summary: 'Removes uploads past their time, and the bytes of models that were deleted a day ago',
    every: { seconds: 600 },
    retries: 1,
    needs: ['records:read', 'records:write', 'artifacts:read', 'artifacts:write'],
    cost_at_rest: {
      usd_per_month: 0.003,
      basis: '4,320 runs of 50 ms at 512 MB arm64 and two queries each, list price 2026-11-20 us-east-1',
    },
  },
} as const satisfies Record<string, ScheduleRow>

export type ScheduleId = keyof typeof schedules
