import { app } from '#app'
import { listReportSchedules } from '../../layers/core/usecases/list-report-schedules.ts'
import { route } from '../entry/http.ts'

export const handler = route('list-report-schedules', async ({ principal }) => ({
  body: await listReportSchedules(app, principal),
}))
