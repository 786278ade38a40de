import { app } from '#app'
import { userReply } from '../../layers/core/contract/routes/auth.ts'
import { createUser } from '../../layers/core/usecases/create-user.ts'
import { route } from '../entry/http.ts'

export const handler = route('create-user', async ({ principal, body }) => ({
  body: userReply(await createUser(app, principal, body)),
}))
