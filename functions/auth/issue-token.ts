import { app } from '#app'
import { issueToken } from '../../layers/core/usecases/issue-token.ts'
import { route } from '../entry/http.ts'

export const handler = route('issue-token', async ({ body, source_ip }) => ({
  body: await issueToken(app, { ...body, source_ip }),
}))
