import { asPlatformError, errorChain, isPlatformError } from '../contract/errors.ts'
import { periodBefore } from '../domain/report-calendar.ts'
import { renderCsv } from '../domain/report-csv.ts'
import { renderHtml } from '../domain/report-html.ts'
import { ReportSchedule } from '../domain/report-schedule.ts'
import { renderText } from '../domain/report-text.ts'
import type { App } from '../ports/app.ts'
import type { MailMessage } from '../ports/mail.ts'
import { everyStored } from './every-stored.ts'
import { gatherReport, type ReportApp } from './gather-report.ts'
import { dueNow, findReportSchedule, putReportSchedule, REPORTS_DUE } from './report-schedule-records.ts'
import { retryConflicts } from './retry-conflicts.ts'

type Needs = ReportApp & Pick<App, 'mail' | 'log' | 'newId'>

/** Longer than one run may take on any host, so that no two send the same report. */
const CLAIM_MS = 10 * 60_000
/** A run begins no further report after this; the next run goes on. */
const RUN_MS = 4 * 60_000

/**
 * Mails every cost report that is due, of all organisations. Primary course, for each: claim it by a conditional write, gather, mail
 * under a key made of schedule and date, note it as sent. A crash leaves a claim that expires; the repeat has the same key, so that
 * a report is neither lost nor doubled. What the mail server refuses is noted in the schedule and tried again at the next run.
 */
export const sendCostReports = async (app: Needs): Promise<{ due: number; sent: number; failed: number }> => {
  const summary = { due: 0, sent: 0, failed: 0 }
  const started_ms = app.now().getTime()
  const to = `${new Date(started_ms).toISOString()}#~`
  for await (const { body } of everyStored(app.records, { index: 'worklist', pk: REPORTS_DUE, to })) {
    if (app.now().getTime() - started_ms > RUN_MS) break
    const { organization_id, id } = ReportSchedule.parse(body)
    const claimed = await claim(app, organization_id, id)
    if (!claimed) continue
    summary.due += 1
    try {
      summary[(await sendOne(app, claimed)) ? 'sent' : 'failed'] += 1
    } catch (error) {
      summary.failed += 1
      app.log.error('cost_report_not_settled', { schedule_id: id, organization_id, cause: errorChain(error) })
    }
  }
  return summary
}

interface Claimed {
  schedule: ReportSchedule
  /** Local date of the report. */
  date: string
  claim_id: string
}

/** Undefined when nothing is due, or somebody else has it. */
const claim = async (app: Needs, organization_id: string, id: string): Promise<Claimed | undefined> => {
  try {
    const { schedule, version } = await findReportSchedule(app, organization_id, id)
    const now = app.now()
    const due = dueNow(schedule, now)
    if (!due || (schedule.claim !== null && schedule.claim.until > now.toISOString())) return undefined
    const held = { id: app.newId('clm'), for: due.date, until: new Date(now.getTime() + CLAIM_MS).toISOString() }
    const next = { ...schedule, claim: held }
    await app.records.write([putReportSchedule(next, { version }, now)])
    return { schedule: next, date: due.date, claim_id: held.id }
  } catch (error) {
    if (isPlatformError(error, 'version_conflict') || isPlatformError(error, 'not_found')) return undefined
    throw error
  }
}

/** Whether it went out. What was mailed but cannot be noted stays claimed, and is the same message when the claim has expired. */
const sendOne = async (app: Needs, claimed: Claimed): Promise<boolean> => {
  const { schedule, date } = claimed
  const at = { schedule_id: schedule.id, organization_id: schedule.organization_id, report_for: date }
  try {
    const { message_id } = await app.mail.send(await messageOf(app, claimed))
    app.log.info('cost_report_sent', { ...at, message_id, recipients: schedule.recipients.length })
  } catch (error) {
    const { code, message } = asPlatformError(error)
    app.log.warn('cost_report_not_sent', { ...at, code, cause: errorChain(error) })
    await settle(app, claimed, (current) => {
      const before = current.last_error?.for === date ? current.last_error.attempts : 0
      return { ...current, last_error: { for: date, at: app.now().toISOString(), attempts: before + 1, detail: message } }
    })
    return false
  }
  const sent = { last_sent_for: date, last_error: null }
  await settle(app, claimed, (current) => ({ ...current, ...sent, last_sent_at: app.now().toISOString() }))
  return true
}

const messageOf = async (app: Needs, { schedule, date }: Claimed): Promise<MailMessage> => {
  const period = periodBefore(schedule.frequency, date, schedule.time_zone)
  const report = await gatherReport(app, schedule, period, schedule)
  return {
    to: schedule.recipients,
    subject: report.subject,
    text: renderText(report),
    html: renderHtml(report),
    attachments: [
      {
        file_name: `costs-${period.from}-to-${period.to}.csv`,
        content_type: 'text/csv; charset=utf-8',
        // The mark in front makes spreadsheets read names beyond ASCII as UTF-8.
        content: new TextEncoder().encode(`\ufeff${renderCsv(report)}`),
      },
    ],
    key: `${schedule.id}-${date}`,
  }
}

/** Releases the claim with what became of it, unless the schedule went or the claim has passed to another run. */
const settle = (
  app: Needs,
  { schedule, claim_id }: Claimed,
  change: (current: ReportSchedule) => ReportSchedule,
): Promise<void> =>
  retryConflicts(async () => {
    const found = await findReportSchedule(app, schedule.organization_id, schedule.id).catch((error: unknown) => {
      if (isPlatformError(error, 'not_found')) return undefined
      throw error
    })
    if (found?.schedule.claim?.id !== claim_id) return
    await app.records.write([
      putReportSchedule({ ...change(found.schedule), claim: null }, { version: found.version }, app.now()),
    ])
  })
