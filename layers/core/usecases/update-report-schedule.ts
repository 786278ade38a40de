import type { Principal } from '../domain/principal.ts'
import type { ReportSchedule, ReportScheduleReply, ReportScheduleSpec } from '../domain/report-schedule.ts'
import type { App } from '../ports/app.ts'
import { findReportSchedule, putReportSchedule, reportScheduleReply } from './report-schedule-records.ts'
import { retryConflicts } from './retry-conflicts.ts'

const timing = ['frequency', 'weekday', 'day', 'hour', 'time_zone', 'enabled'] as const

/**
 * Replaces what a schedule says. Where that moves its times, nothing that was due before is sent any more; a report whose turn came
 * keeps being tried otherwise. Fails with `not_found`.
 */
export const updateReportSchedule = (
  app: Pick<App, 'records' | 'now'>,
  principal: Principal,
  schedule_id: string,
  spec: ReportScheduleSpec,
): Promise<ReportScheduleReply> =>
  retryConflicts(async () => {
    const { schedule, version } = await findReportSchedule(app, principal.organization_id, schedule_id)
    const now = app.now()
    const is_moved = timing.some((member) => schedule[member] !== spec[member])
    const changed: ReportSchedule = {
      ...schedule,
      ...spec,
      updated_at: now.toISOString(),
      armed_at: is_moved ? now.toISOString() : schedule.armed_at,
    }
    await app.records.write([putReportSchedule(changed, { version }, now)])
    return reportScheduleReply(changed, now)
  })
