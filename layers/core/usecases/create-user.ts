import type { Principal, Role } from '../domain/principal.ts'
import type { User } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import { admitUser } from './admit-user.ts'
import { refuseRestrictedKey } from './may-administer.ts'
import { countAdmins, getOrganization, organizationDocument } from './organization-records.ts'

/** An admin adds a user to the own organisation. Fails with `conflict` when the name is taken anywhere on the platform. */
export const createUser = async (
  app: Pick<App, 'records' | 'identity' | 'now' | 'newId'>,
  principal: Principal,
  { username, password, role }: { username: string; password: string; role: Role },
): Promise<User> => {
  refuseRestrictedKey(principal)
  const created_at = app.now().toISOString()
  const { organization_id } = principal
  const user: User = { id: app.newId('usr'), organization_id, username, role, created_at, updated_at: created_at }
  await admitUser(app, user, password, async () =>
    role === 'admin'
      ? [countAdmins(await getOrganization(app, organization_id), 1)]
      : [{ check: organizationDocument(organization_id), expect: 'present' }],
  )
  return user
}
