import type { Principal, Role } from '../domain/principal.ts'
import type { Organization, User } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import { admitUser } from './admit-user.ts'
import { refuseRestrictedKey, requireOperator } from './may-administer.ts'
import { putOrganization } from './organization-records.ts'

/** Operators make an organisation together with its first admin, both or neither. Fails with `forbidden`, or `conflict` on a taken user name. */
export const createOrganization = async (
  app: Pick<App, 'records' | 'identity' | 'now' | 'newId'>,
  principal: Principal,
  input: { name: string; admin: { username: string; password: string } },
): Promise<{ organization: Organization; admin: User }> => {
  refuseRestrictedKey(principal)
  await requireOperator(app, principal)
  const created_at = app.now().toISOString()
  const organization: Organization = { id: app.newId('org'), name: input.name, operator: false, admins: 1, created_at }
  const role: Role = 'admin'
  const admin: User = {
    id: app.newId('usr'),
    organization_id: organization.id,
    username: input.admin.username,
    role,
    created_at,
    updated_at: created_at,
  }
  await admitUser(app, admin, input.admin.password, async () => [putOrganization(organization, 'absent')])
  return { organization, admin }
}
