import { app } from '#app'
import { route } from '../entry/http.ts'

export const handler = route('preview-report', async ({ principal, body }) => {
  // Loaded here: what it decides by is a weight that the other routes of its function need not carry.
  const { previewReport } = await import('../../layers/core/usecases/preview-report.ts')
  return { body: await previewReport(app, principal, body) }
})
