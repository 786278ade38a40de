import type { Principal } from '../domain/principal.ts'
import type { ReportScheduleReply } from '../domain/report-schedule.ts'
import type { App } from '../ports/app.ts'
import { findReportSchedule, reportScheduleReply } from './report-schedule-records.ts'

/** One report schedule of the caller's organisation. Fails with `not_found`. */
export const getReportSchedule = async (
  app: Pick<App, 'records' | 'now'>,
  principal: Principal,
  schedule_id: string,
): Promise<ReportScheduleReply> =>
  reportScheduleReply((await findReportSchedule(app, principal.organization_id, schedule_id)).schedule, app.now())
