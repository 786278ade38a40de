import type { Principal, Role } from '../domain/principal.ts'
import type { User } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import type { Operation } from '../ports/records.ts'
import { putAccessUser } from './access-records.ts'
import { forgetPrincipals } from './kept-principals.ts'
import { refuseRestrictedKey } from './may-administer.ts'
import { countAdmins, getOrganization, getUser, putUser } from './organization-records.ts'
import { retryConflicts } from './retry-conflicts.ts'
import { setPassword } from './set-password.ts'

/**
 * An admin changes the role of a user, sets a new password, or both; either holds from the next request of that user on.
 * Fails with `not_found`, or `conflict` when the last admin would lose the role.
 */
export const updateUser = async (
  app: Pick<App, 'records' | 'identity' | 'now'>,
  principal: Principal,
  user_id: string,
  { role, password }: { role?: Role | undefined; password?: string | undefined },
): Promise<User> => {
  refuseRestrictedKey(principal)
  const user = await retryConflicts(() => changeRole(app, principal.organization_id, user_id, role))
  if (password !== undefined) await setPassword(app, user, password)
  forgetPrincipals(app)
  return user
}

const changeRole = async (
  app: Pick<App, 'records' | 'now'>,
  organization_id: string,
  user_id: string,
  role: Role | undefined,
): Promise<User> => {
  const { body, version } = await getUser(app, organization_id, user_id)
  const user: User = { ...body, role: role ?? body.role, updated_at: app.now().toISOString() }
  const change = Number(user.role === 'admin') - Number(body.role === 'admin')
  const counted: Operation[] = change === 0 ? [] : [countAdmins(await getOrganization(app, organization_id), change > 0 ? 1 : -1)]
  const access = user.token_epoch === undefined ? [] : putAccessUser(user)
  await app.records.write([putUser(user, { version }), ...access, ...counted])
  return user
}
