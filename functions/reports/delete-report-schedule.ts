import { app } from '#app'
import { deleteReportSchedule } from '../../layers/core/usecases/delete-report-schedule.ts'
import { route } from '../entry/http.ts'

export const handler = route('delete-report-schedule', async ({ principal, params }) => ({
  body: await deleteReportSchedule(app, principal, params.schedule_id),
}))
