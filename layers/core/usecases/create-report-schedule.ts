import { PlatformError } from '../contract/errors.ts'
import type { Principal } from '../domain/principal.ts'
import { ReportSchedule, type ReportScheduleReply, type ReportScheduleSpec } from '../domain/report-schedule.ts'
import type { App } from '../ports/app.ts'
import { documentsOf, organizationDocument } from './organization-records.ts'
import { putReportSchedule, reportScheduleReply } from './report-schedule-records.ts'

/** A mistaken loop must not mail a thousand reports. */
const most_schedules = 100

/** Begins a schedule; its first report is the first one due from now on. Fails with `conflict` past 100 schedules. */
export const createReportSchedule = async (
  app: Pick<App, 'records' | 'now' | 'newId'>,
  principal: Principal,
  spec: ReportScheduleSpec,
): Promise<ReportScheduleReply> => {
  const { organization_id } = principal
  const others = await documentsOf(app, organization_id, 'report-schedule', ReportSchedule)
  if (others.length >= most_schedules)
    throw new PlatformError(
      'conflict',
      `There are ${others.length} report schedules; wanted at most ${most_schedules}, delete one first`,
    )
  const now = app.now()
  const at = now.toISOString()
  const schedule: ReportSchedule = {
    ...spec,
    ...{ id: app.newId('rsc'), organization_id, created_at: at, created_by: principal.id, updated_at: at, armed_at: at },
    ...{ last_sent_for: null, last_sent_at: null, last_error: null, claim: null },
  }
  await app.records.write([
    putReportSchedule(schedule, 'absent', now),
    { check: organizationDocument(organization_id), expect: 'present' },
  ])
  return reportScheduleReply(schedule, now)
}
