import { app } from '#app'
import { getReportSchedule } from '../../layers/core/usecases/get-report-schedule.ts'
import { route } from '../entry/http.ts'

export const handler = route('get-report-schedule', async ({ principal, params }) => ({
  body: await getReportSchedule(app, principal, params.schedule_id),
}))
