import { PlatformError } from '../contract/errors.ts'
import type { App } from '../ports/app.ts'
import { findUser } from './organization-records.ts'

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
  // A removal that died half way leaves a password without a user; finish it here.
  await app.identity.forget(claims)
  throw new PlatformError('unauthenticated', 'The user name or the password is wrong')
}
