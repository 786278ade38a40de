import { PlatformError } from '../contract/errors.ts'
import type { ReportReply } from '../contract/routes/reports.ts'
import type { BodyOf } from '../contract/routes.ts'
import type { Principal } from '../domain/principal.ts'
import { periodBefore, type ReportPeriod, wallTime } from '../domain/report-calendar.ts'
import { renderCsv } from '../domain/report-csv.ts'
import { renderHtml } from '../domain/report-html.ts'
import { renderText } from '../domain/report-text.ts'
import { grain_ms } from '../domain/usage.ts'
import { longestWindow_days } from './analytics-window.ts'
import { gatherReport, type ReportApp } from './gather-report.ts'

/** The report as it would be sent, of the day, week or month before today or of any whole days. Fails with `invalid_request`. */
export const previewReport = async (
  app: ReportApp,
  principal: Principal,
  body: BodyOf<'preview-report'>,
): Promise<ReportReply> => {
  const period = periodOf(body, app.now())
  const report = await gatherReport(app, principal, period)
  return {
    subject: report.subject,
    html: renderHtml(report),
    text: renderText(report),
    csv: renderCsv(report),
    period,
    totals: {
      total_cost: report.total.usd,
      previous_total_cost: report.total.previous_usd,
      other_costs: report.others.reduce((sum, { usd }) => sum + usd, 0),
      forecast_cost: report.forecast.usd,
      forecast_days: report.forecast.days,
      saved_by_sleeping: report.savings.period.usd,
      basis: report.bases[0]?.basis ?? '',
    },
  }
}

const periodOf = ({ period, time_zone }: BodyOf<'preview-report'>, now: Date): ReportPeriod => {
  const today = wallTime(now.getTime(), time_zone).date
  if (typeof period === 'string') return periodBefore(period, today, time_zone)
  const days = (Date.parse(period.to) - Date.parse(period.from)) / grain_ms.day
  if (period.from >= period.to || period.to > today || days > longestWindow_days)
    throw new PlatformError('invalid_request', 'The period is not one of whole days that are over', {
      errors: [
        {
          pointer: '/period',
          detail: `got ${period.from} to ${period.to}; wanted an end after its start and at most ${today}, today, and at most ${longestWindow_days} days`,
        },
      ],
    })
  return { ...period, time_zone }
}
