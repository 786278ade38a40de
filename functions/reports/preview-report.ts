import { app } from '#app'
import { previewReport } from '../../layers/core/usecases/preview-report.ts'
import { route } from '../entry/http.ts'

export const handler = route('preview-report', async ({ principal, body }) => ({
  body: await previewReport(app, principal, body),
}))
