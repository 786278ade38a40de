import { app } from '#app'
import { updateReportSchedule } from '../../layers/core/usecases/update-report-schedule.ts'
import { route } from '../entry/http.ts'

export const handler = route('update-report-schedule', async ({ principal, params, body }) => ({
  body: await updateReportSchedule(app, principal, params.schedule_id, body),
}))
