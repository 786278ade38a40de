import { app } from '#app'
import { userReply } from '../../layers/core/contract/routes/auth.ts'
import { updateUser } from '../../layers/core/usecases/update-user.ts'
import { route } from '../entry/http.ts'

export const handler = route('update-user', async ({ principal, params, body }) => ({
  body: userReply(await updateUser(app, principal, params.user_id, body)),
}))
