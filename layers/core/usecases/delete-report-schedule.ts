import type { Message } from '../contract/lists.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { findReportSchedule, reportScheduleKey } from './report-schedule-records.ts'
import { retryConflicts } from './retry-conflicts.ts'

/** Ends a schedule; a report that is being sent at this moment still goes out. Fails with `not_found`. */
export const deleteReportSchedule = (app: Pick<App, 'records'>, principal: Principal, schedule_id: string): Promise<Message> =>
  retryConflicts(async () => {
    const { organization_id } = principal
    const { version } = await findReportSchedule(app, organization_id, schedule_id)
    await app.records.write([{ remove: reportScheduleKey(organization_id, schedule_id), expect: { version } }])
    return { message: `Report schedule ${schedule_id} deleted successfully` }
  })
