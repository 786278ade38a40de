import { app } from '#app'
import { createReportSchedule } from '../../layers/core/usecases/create-report-schedule.ts'
import { route } from '../entry/http.ts'

export const handler = route('create-report-schedule', async ({ principal, body }) => ({
  body: await createReportSchedule(app, principal, body),
}))
