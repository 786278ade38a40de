import { app } from '#app'
import { userReply } from '../../layers/core/contract/routes/auth.ts'
import { listUsers } from '../../layers/core/usecases/list-users.ts'
import { route } from '../entry/http.ts'

export const handler = route('list-users', async ({ principal }) => ({ body: (await listUsers(app, principal)).map(userReply) }))
