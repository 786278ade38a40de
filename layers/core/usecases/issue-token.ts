import { PlatformError } from '../contract/errors.ts'
import { UsernameClaim } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import { findUser, usernameKey } from './organization-records.ts'

/**
 * Signs a user in. Primary course: the identity port proves the password and issues a token, and the user it names still exists.
 * Fails with `unauthenticated`, the same for every reason, or `rate_limited`.
 */
export const issueToken = async (
  app: Pick<App, 'identity' | 'records'>,
  credentials: { username: string; password: string; source_ip: string },
): Promise<{ token: string; expires_at: string }> => {
  const issued = await app.identity.signIn(credentials)
  const claims = await app.identity.verify(issued.token)
  if (await findUser(app, claims.organization_id, claims.user_id)) return issued
  // A removal that died half way leaves a password without a user; finish it here. A user who is just being made holds the name already.
  const holder = await app.records.get(usernameKey(claims.username))
  if (holder === undefined || UsernameClaim.parse(holder.body).user_id !== claims.user_id) await app.identity.forget(claims)
  throw new PlatformError('unauthenticated', 'The user name or the password is wrong')
}
