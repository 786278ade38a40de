import { randomBytes } from 'node:crypto'
import type { Organization, User } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import { putAccessUser } from './access-records.ts'
import { putOrganization, putUser, usernameKey } from './organization-records.ts'

export const firstAdminKey = { pk: 'platform', sk: 'first-admin' }

/**
 * At the very first start: the organisation `default`, whose admins run the platform, and its user `admin`. Without a password one of
 * 144 random bits is made and answered once. Later starts change nothing.
 * A crash in between leaves nothing that counts: the documents appear in one transaction, after the password.
 */
export const ensureFirstAdmin = async (
  app: Pick<App, 'records' | 'identity' | 'now' | 'newId'>,
  password?: string,
): Promise<{ created: boolean; generated_password?: string }> => {
  if (await app.records.get(firstAdminKey)) return { created: false }
  const created_at = app.now().toISOString()
  const organization: Organization = { id: app.newId('org'), name: 'default', operator: true, admins: 1, created_at }
  const user: User = {
    id: app.newId('usr'),
    organization_id: organization.id,
    username: 'admin',
    role: 'admin',
    created_at,
    updated_at: created_at,
  }
  const claim = { user_id: user.id, organization_id: organization.id }
  const chosen = password ?? randomBytes(18).toString('base64url')
  const { id: user_id, username } = user
  const { epoch } = await app.identity.enrol({ user_id, username, organization_id: organization.id }, chosen)
  const admin: User = { ...user, token_epoch: epoch }
  await app.records.write([
    { put: { ...firstAdminKey, body: claim }, expect: 'absent' },
    { put: { ...usernameKey(user.username), body: claim }, expect: 'absent' },
    putOrganization(organization, 'absent'),
    putUser(admin, 'absent'),
    ...putAccessUser(admin),
  ])
  return password === undefined ? { created: true, generated_password: chosen } : { created: true }
}
