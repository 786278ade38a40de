import { notFound } from '../contract/errors.ts'
import { type Due, lastDue, nextDue } from '../domain/report-calendar.ts'
import { ReportSchedule, ReportScheduleReply } from '../domain/report-schedule.ts'
import type { App } from '../ports/app.ts'
import type { Expect, Operation } from '../ports/records.ts'
import { organizationKey } from './record-keys.ts'

/** Schedules are `report-schedule#<id>`; those that are enabled stand in this worklist under the time they are due. */
export const REPORTS_DUE = 'report-schedules#due'

export const reportScheduleKey = (organization_id: string, id: string) => organizationKey(organization_id, 'report-schedule', id)

/** The report that should have gone out by now and did not; undefined when there is none. */
export const dueNow = (schedule: ReportSchedule, now: Date): Due | undefined => {
  if (!schedule.enabled) return undefined
  const due = lastDue(schedule, now.getTime())
  const is_sent = schedule.last_sent_for !== null && schedule.last_sent_for >= due.date
  return is_sent || due.at_ms < Date.parse(schedule.armed_at) ? undefined : due
}

/** The next report there will be; null while it is not enabled. */
const upcoming = (schedule: ReportSchedule, now: Date): number | null => {
  if (!schedule.enabled) return null
  const late = dueNow(schedule, now)
  if (late) return late.at_ms
  const next = nextDue(schedule, now.getTime())
  // Of a day whose report went out (the hour was changed since) there is no second one.
  return schedule.last_sent_for !== null && next.date <= schedule.last_sent_for ? nextDue(schedule, next.at_ms).at_ms : next.at_ms
}

export const putReportSchedule = (schedule: ReportSchedule, expect: Expect, now: Date): Operation => {
  const at_ms = upcoming(schedule, now)
  return {
    put: {
      ...reportScheduleKey(schedule.organization_id, schedule.id),
      body: JSON.parse(JSON.stringify(schedule)),
      ...(at_ms === null ? {} : { worklist: { pk: REPORTS_DUE, sk: `${new Date(at_ms).toISOString()}#${schedule.id}` } }),
    },
    expect,
  }
}

/** Fails with `not_found`. */
export const findReportSchedule = async (
  app: Pick<App, 'records'>,
  organization_id: string,
  id: string,
): Promise<{ schedule: ReportSchedule; version: string }> => {
  const stored = await app.records.get(reportScheduleKey(organization_id, id))
  if (!stored) throw notFound('Report schedule', id)
  return { schedule: ReportSchedule.parse(stored.body), version: stored.version }
}

export const reportScheduleReply = (schedule: ReportSchedule, now: Date): ReportScheduleReply => {
  const at_ms = upcoming(schedule, now)
  return ReportScheduleReply.parse({ ...schedule, next_due_at: at_ms === null ? null : new Date(at_ms).toISOString() })
}
