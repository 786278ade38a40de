import { app } from '#app'
import { deleteUser } from '../../layers/core/usecases/delete-user.ts'
import { route } from '../entry/http.ts'

export const handler = route('delete-user', async ({ principal, params }) => ({
  body: await deleteUser(app, principal, params.user_id),
}))
