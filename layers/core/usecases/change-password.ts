import { PlatformError } from '../contract/errors.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { getUser } from './organization-records.ts'
import { setPassword } from './set-password.ts'

/** A user proves the current password and sets a new one; every token issued before stops working. */
export const changePassword = async (
  app: Pick<App, 'identity' | 'records'>,
  principal: Principal,
  { current_password, new_password }: { current_password: string; new_password: string },
): Promise<{ message: string }> => {
  if (principal.kind !== 'user') throw new PlatformError('forbidden', 'An API key has no password; sign in as the user')
  const { body: user } = await getUser(app, principal.organization_id, principal.id)
  if (!(await app.identity.checkPassword(user.username, current_password)))
    throw new PlatformError('invalid_request', 'The current password is wrong', {
      errors: [{ pointer: '/current_password', detail: 'is not the current password' }],
    })
  await setPassword(app, user, new_password)
  return { message: 'Password changed; sign in again' }
}
