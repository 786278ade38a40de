import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import type { Operation } from '../ports/records.ts'
import { removeAccessUser } from './access-records.ts'
import { forgetPrincipals } from './kept-principals.ts'
import { countAdmins, getOrganization, getUser, userKey, usernameKey } from './organization-records.ts'
import { retryConflicts } from './retry-conflicts.ts'

/**
 * Removes a user and frees the name; its tokens stop working with the user document. API keys it made belong to the organisation and stay.
 * Fails with `not_found`, or `conflict` for the last admin.
 */
export const deleteUser = async (
  app: Pick<App, 'records' | 'identity'>,
  principal: Principal,
  user_id: string,
): Promise<{ message: string }> => {
  const { organization_id } = principal
  const user = await retryConflicts(async () => {
    const { body, version } = await getUser(app, organization_id, user_id)
    const counted: Operation[] = body.role === 'admin' ? [countAdmins(await getOrganization(app, organization_id), -1)] : []
    await app.records.write([
      { remove: userKey(organization_id, user_id), expect: { version } },
      { remove: usernameKey(body.username), expect: 'any' },
      ...removeAccessUser(body),
      ...counted,
    ])
    return body
  })
  forgetPrincipals(app)
  await app.identity.forget({ user_id, username: user.username })
  return { message: `User ${user_id} deleted successfully` }
}
