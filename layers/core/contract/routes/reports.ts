import * as z from 'zod'
import { isTimeZone } from '../../domain/report-calendar.ts'
import { ReportScheduleReply, ReportScheduleSpec } from '../../domain/report-schedule.ts'
import { Message } from '../lists.ts'
import type { RouteRow } from '../route-row.ts'

const row = { function: 'reports', surface: 'platform', transfer: 'json', status: 200 } as const
const reads = { role: 'viewer', action: 'reports:read', needs: ['records:read'] } as const
const writes = { role: 'admin', action: 'reports:write', needs: ['records:read', 'records:write'] } as const
const params = z.object({ schedule_id: z.string() })

const Day = z.iso.date({ error: 'wanted a date as 2026-11-20' })

export const ReportReply = z.object({
  subject: z.string(),
  html: z.string(),
  text: z.string(),
  csv: z.string(),
  period: z.object({ from: z.string(), to: z.string().describe('The day after the last one'), time_zone: z.string() }),
  totals: z.object({
    total_cost: z.number().describe('USD, what the deployments cost'),
    previous_total_cost: z.number().describe('USD, in as many days before'),
    other_costs: z.number().describe('USD, what belongs to no deployment'),
    forecast_cost: z.number().describe('USD, over `forecast_days`'),
    forecast_days: z.number().int(),
    saved_by_sleeping: z.number().describe('USD, in the period'),
    basis: z.string(),
  }),
})
export type ReportReply = z.infer<typeof ReportReply>

export const reportRoutes = {
  'preview-report': {
    ...row,
    ...reads,
    needs: ['records:read', 'prices:read'],
    method: 'POST',
    path: '/reports/preview',
    summary: 'The cost report as it would be sent, as HTML, text and CSV; nobody is sent it',
    body: z.strictObject({
      period: z
        .union([
          z.enum(['daily', 'weekly', 'monthly']),
          z.strictObject({ from: Day, to: Day.describe('The day after the last one') }),
        ])
        .default('weekly')
        .describe('The day, week or month before today, or any days of the last 400'),
      time_zone: z.string().max(64).refine(isTimeZone, 'wanted a name of the IANA time zone database').default('UTC'),
      recipients: z.array(z.string()).optional().describe('Ignored: a preview is never sent'),
    }),
    reply: ReportReply,
  },
  'list-report-schedules': {
    ...row,
    ...reads,
    method: 'GET',
    path: '/reports/schedules',
    summary: 'Schedules that mail cost reports, oldest first',
    reply: z.array(ReportScheduleReply),
  },
  'create-report-schedule': {
    ...row,
    ...writes,
    method: 'POST',
    path: '/reports/schedules',
    summary: 'Mail a cost report by the day, week or month, at an hour of a time zone',
    body: ReportScheduleSpec,
    reply: ReportScheduleReply,
  },
  'get-report-schedule': {
    ...row,
    ...reads,
    method: 'GET',
    path: '/reports/schedules/{schedule_id}',
    summary: 'Get a report schedule, with what was sent last and what failed',
    params,
    reply: ReportScheduleReply,
  },
  'update-report-schedule': {
    ...row,
    ...writes,
    method: 'PUT',
    path: '/reports/schedules/{schedule_id}',
    summary: 'Replace what a report schedule says',
    params,
    body: ReportScheduleSpec,
    reply: ReportScheduleReply,
  },
  'delete-report-schedule': {
    ...row,
    ...writes,
    method: 'DELETE',
    path: '/reports/schedules/{schedule_id}',
    summary: 'End a report schedule',
    params,
    reply: Message,
  },
} as const satisfies Record<string, RouteRow>
