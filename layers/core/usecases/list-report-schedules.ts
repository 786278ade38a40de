import type { Principal } from '../domain/principal.ts'
import { ReportSchedule, type ReportScheduleReply } from '../domain/report-schedule.ts'
import type { App } from '../ports/app.ts'
import { documentsOf } from './organization-records.ts'
import { reportScheduleReply } from './report-schedule-records.ts'

/** Report schedules of the caller's organisation, oldest first. */
export const listReportSchedules = async (
  app: Pick<App, 'records' | 'now'>,
  principal: Principal,
): Promise<ReportScheduleReply[]> => {
  const all = await documentsOf(app, principal.organization_id, 'report-schedule', ReportSchedule)
  return all.map((schedule) => reportScheduleReply(schedule, app.now()))
}
