import { app } from '#app'
import { changePassword } from '../../layers/core/usecases/change-password.ts'
import { route } from '../entry/http.ts'

export const handler = route('change-password', async ({ principal, body }) => ({
  body: await changePassword(app, principal, body),
}))
