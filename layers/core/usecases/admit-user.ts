import { isPlatformError, PlatformError } from '../contract/errors.ts'
import type { User } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import type { Operation } from '../ports/records.ts'
import { putAccessUser } from './access-records.ts'
import { putUser, usernameKey } from './organization-records.ts'
import { retryConflicts } from './retry-conflicts.ts'

type Parts = Pick<App, 'records' | 'identity' | 'now'>

/** Longer than a password takes to set anywhere; a name whose user never came to be is free again after it. */
const reservation_s = 600

/**
 * Makes a user whole or not at all, although the password lies outside the records: the name is reserved (the reservation expires by
 * itself), the password set, then user, name, who may call endpoints and whatever comes `along` are written in one transaction.
 * `along` is asked again after a lost race. Fails with `conflict` when the name is taken.
 */
export const admitUser = async (app: Parts, user: User, password: string, along: () => Promise<Operation[]>): Promise<void> => {
  await along()
  const reserved = await reserve(app, user)
  try {
    const { id: user_id, username, organization_id } = user
    const { epoch } = await app.identity.enrol({ user_id, username, organization_id }, password)
    const whole: User = { ...user, token_epoch: epoch }
    const documents: Operation[] = [
      { put: { ...usernameKey(username), body: claimOf(user) }, expect: { version: reserved } },
      putUser(whole, 'absent'),
      ...putAccessUser(whole),
    ]
    await retryConflicts(async () => app.records.write([...documents, ...(await along())]))
  } catch (error) {
    await release(app, user, reserved)
    throw error
  }
}

const claimOf = (user: User) => ({ user_id: user.id, organization_id: user.organization_id })

const reserve = async (app: Parts, user: User): Promise<string> => {
  const expires_at = Math.floor(app.now().getTime() / 1000) + reservation_s
  try {
    const [version = ''] = await app.records.write([
      { put: { ...usernameKey(user.username), body: claimOf(user), expires_at }, expect: 'absent' },
    ])
    return version
  } catch (cause) {
    if (!isPlatformError(cause, 'version_conflict')) throw cause
    throw new PlatformError('conflict', `The user name ${user.username} is taken; user names are unique over the platform`, {
      cause,
    })
  }
}

/**
 * Best effort: what stays behind expires. The name goes first, for it is still a mere reservation only if the user was not made after
 * all (a write may hold although its answer was lost), and then the password must stay.
 */
const release = async (app: Parts, user: User, version: string): Promise<void> => {
  const freed = await app.records.write([{ remove: usernameKey(user.username), expect: { version } }]).catch(() => undefined)
  if (freed) await app.identity.forget({ user_id: user.id, username: user.username }).catch(() => undefined)
}
