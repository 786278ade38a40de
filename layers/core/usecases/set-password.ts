import type { User } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import { putAccessUser } from './access-records.ts'
import { forgetPrincipals } from './kept-principals.ts'
import { getUser, putUser } from './organization-records.ts'
import { retryConflicts } from './retry-conflicts.ts'

/**
 * Sets a user's password; every token issued before stops working. In the access partition the user has no valid token from before the
 * change until the new epoch is known, so that a crash in between refuses too much there (the next use of the platform repairs it) and
 * never too little. Fails with `not_found`.
 */
export const setPassword = async (app: Pick<App, 'identity' | 'records'>, user: User, password: string): Promise<void> => {
  await writeEpoch(app, user, null)
  const { id: user_id, username, organization_id } = user
  const { epoch } = await app.identity.setPassword({ user_id, username, organization_id }, password)
  await writeEpoch(app, user, epoch)
  forgetPrincipals(app)
}

const writeEpoch = (app: Pick<App, 'records'>, { organization_id, id }: User, epoch: string | null): Promise<string[]> =>
  retryConflicts(async () => {
    const { body, version } = await getUser(app, organization_id, id)
    const user: User = { ...body, token_epoch: epoch }
    return app.records.write([putUser(user, { version }), ...putAccessUser(user)])
  })
