import * as z from 'zod'
import { isTimeZone } from './report-calendar.ts'

const printable = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, 'wanted printable characters')

/** What a caller says of a schedule. */
export const ReportScheduleSpec = z.strictObject({
  name: printable,
  frequency: z.enum(['daily', 'weekly', 'monthly']).default('weekly'),
  weekday: z.number().int().min(1).max(7).default(1).describe('1 is Monday, 7 Sunday; for weekly reports'),
  day: z.number().int().min(1).max(28).default(1).describe('Day of the month; for monthly reports'),
  hour: z.number().int().min(0).max(23).default(7).describe('Local hour it is sent at'),
  time_zone: z
    .string()
    .max(64)
    .refine(isTimeZone, 'wanted a name of the IANA time zone database, e.g. Europe/Berlin')
    .default('UTC'),
  recipients: z
    .array(z.email('wanted an e-mail address').max(254))
    .min(1)
    .max(50)
    .refine((all) => new Set(all.map((one) => one.toLowerCase())).size === all.length, 'wanted every address once'),
  enabled: z.boolean().default(true),
})
export type ReportScheduleSpec = z.infer<typeof ReportScheduleSpec>

/** A schedule as stored. */
export const ReportSchedule = z.object({
  ...ReportScheduleSpec.shape,
  id: z.string(),
  organization_id: z.string(),
  created_at: z.string(),
  created_by: z.string(),
  updated_at: z.string(),
  /** Nothing due before is sent: since when its timing is as it is. */
  armed_at: z.string(),
  /** Local date of the last report that went out. */
  last_sent_for: z.string().nullable(),
  last_sent_at: z.string().nullable(),
  last_error: z.object({ for: z.string(), at: z.string(), attempts: z.number().int(), detail: z.string() }).nullable(),
  /** Who is sending the report of a date, until when nobody else does. */
  claim: z.object({ id: z.string(), for: z.string(), until: z.string() }).nullable(),
})
export type ReportSchedule = z.infer<typeof ReportSchedule>

export const ReportScheduleReply = ReportSchedule.omit({ organization_id: true, armed_at: true, claim: true }).extend({
  next_due_at: z.string().nullable().describe('null while it is not enabled'),
})
export type ReportScheduleReply = z.infer<typeof ReportScheduleReply>
