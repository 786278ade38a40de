import { createHash, randomBytes } from 'node:crypto'
import type { CognitoIdentityProviderClient } from '@aws-sdk/client-cognito-identity-provider'
import * as z from 'zod'
import { isPlatformError, notFound, PlatformError } from '../core/contract/errors.ts'
import { addressBlock } from '../core/domain/cidr.ts'
import { canonicalUsername } from '../core/domain/user.ts'
import type { Identity, UserIdentity } from '../core/ports/identity.ts'
import type { Expect, Key, Records } from '../core/ports/records.ts'
import { type CognitoPool, type CognitoTokens, cognitoTokens } from './cognito-tokens.ts'
import { type Attempt, type CognitoUsers, cognitoUsers } from './cognito-users.ts'
import { type SlowDown, slowDown } from './slow-down.ts'

export interface CognitoIdentityParts extends CognitoPool {
  /** Made at first use. */
  client(): CognitoIdentityProviderClient
  records: Records
  now(): Date
}

/**
 * What a user name stands for in the pool. `epoch` changes with every password and every token carries the one it was issued under:
 * Cognito's tokens are good until they end, so that it is this document which ends them at once.
 */
const Credential = z.object({ user_id: z.string(), username: z.string(), organization_id: z.string(), epoch: z.string() })
type Credential = z.infer<typeof Credential>

/** A password change that loses this often against others of the same user is given up. */
const most_tries = 5

/**
 * A Cognito user pool. Passwords and tokens are Cognito's, names and epochs lie in the records. Failed sign-ins are slowed down by
 * Cognito per user, over all processes, and here per name and per address, within this process: from the platform's own functions
 * Cognito sees no caller's address.
 */
export const cognitoIdentity = (parts: CognitoIdentityParts): Identity => {
  let made: CognitoIdentityProviderClient | undefined
  const client = () => (made ??= parts.client())
  const { records, now } = parts
  const users = cognitoUsers(client, parts)
  const tokens = cognitoTokens(parts, now)
  // As many free tries and as long a wait as Cognito's own, so that its lock does not tell which names exist.
  const by_name = slowDown({ free: 5, longest_wait_s: 900 }, now)
  const by_address = slowDown({ free: 50, longest_wait_s: 60 }, now)
  const attempt = async (username: string, password: string): Promise<Attempt & { credential?: Found | undefined }> => {
    const name = canonicalUsername(username)
    by_name.begin(name)
    const { answer, credential } = await notCounted(by_name, name, async () => {
      const held = await find(records, username)
      return { credential: held, answer: await users.attempt(held?.user_id, password) }
    })
    if (answer.outcome === 'wrong' || credential === undefined) return { outcome: 'wrong' }
    by_name.succeed(name, true)
    return { ...answer, credential }
  }
  return {
    signIn: async ({ username, password, source_ip }) => {
      const address = addressBlock(source_ip)
      by_address.begin(address)
      const proof = await notCounted(by_address, address, () => attempt(username, password))
      if (proof.outcome === 'wrong') throw new PlatformError('unauthenticated', 'The user name or the password is wrong')
      by_address.succeed(address, false)
      if (proof.outcome === 'second_factor')
        throw new PlatformError('unauthenticated', 'This user signs in with a second factor, at the hosted sign-in page')
      const { expires_at, epoch } = await tokens.read(proof.token)
      if (proof.credential && proof.credential.epoch !== epoch) await adopt(records, proof.credential, epoch)
      return { token: proof.token, expires_at }
    },
    verify: (token) => verify(records, tokens, token),
    enrol: (user, password) => enrol(records, users, user, password),
    setPassword: async (user, password) => {
      const epoch = await changePassword(records, users, user, password)
      by_name.succeed(canonicalUsername(user.username), true)
      return { epoch }
    },
    checkPassword: async (username, password) => (await attempt(username, password)).outcome !== 'wrong',
    forget: async ({ user_id, username }) => {
      await users.remove(user_id)
      const held = await find(records, username)
      if (held?.user_id === user_id) await records.write([{ remove: credentialKey(username), expect: { version: held.version } }])
    },
    publicKeys: () => tokens.keys.all(),
    // Cognito replaces a pool's keys by itself and offers no call for it; its tokens name their key, which is fetched when unknown.
    rotateKeys: async () => {},
  }
}

/** Work that fails without an answer, because the pool is out of reach or busy, is nobody's failed attempt. */
const notCounted = async <Answer>(slow: SlowDown, name: string, work: () => Promise<Answer>): Promise<Answer> => {
  try {
    return await work()
  } catch (error) {
    slow.succeed(name, false)
    throw error
  }
}

type Found = Credential & { version: string }

const find = async (records: Records, username: string): Promise<Found | undefined> => {
  const stored = await records.get(credentialKey(username))
  return stored && { ...Credential.parse(stored.body), version: stored.version }
}

/** Hashed, because a name may be long and a partition key may not. */
const credentialKey = (username: string): Key => ({
  pk: `credential#${createHash('sha256').update(canonicalUsername(username)).digest('base64url')}`,
  sk: 'credential',
})

const newEpoch = (): string => randomBytes(12).toString('base64url')

const putCredential = (records: Records, { user_id, username, organization_id }: UserIdentity, epoch: string, expect: Expect) =>
  records.write([{ put: { ...credentialKey(username), body: { user_id, username, organization_id, epoch } }, expect }])

const verify = async (records: Records, tokens: CognitoTokens, token: string) => {
  const claims = await tokens.read(token)
  const held = await find(records, claims.username)
  if (held?.user_id !== claims.user_id || held.epoch !== claims.epoch)
    throw new PlatformError('unauthenticated', 'The token is no longer valid; sign in again')
  return claims
}

/**
 * Who held the name before leaves the pool while the credential still says so, and the new one is written before the user is made: a
 * crash at any point leaves nobody in the pool whom no credential names, and nobody who can sign in. The name comes last: while a user has
 * no password Cognito refuses a name that is also an alias.
 */
const enrol = async (records: Records, users: CognitoUsers, user: UserIdentity, password: string): Promise<{ epoch: string }> => {
  const epoch = newEpoch()
  const before = await find(records, user.username)
  if (before) await users.remove(before.user_id)
  await putCredential(records, user, epoch, before ? { version: before.version } : 'absent')
  await users.create(user)
  await users.setPassword(user.user_id, password)
  await users.describe(user, epoch)
  return { epoch }
}

/**
 * Password, then the epoch in the pool, then in the records: what was issued under the old password carries the old epoch, which ends
 * with the last write. A change that meets another one starts over, so that the last to write also set password and epoch last.
 */
const changePassword = async (records: Records, users: CognitoUsers, user: UserIdentity, password: string): Promise<string> => {
  for (let tried = 1; ; tried += 1) {
    const held = await find(records, user.username)
    if (held?.user_id !== user.user_id) throw notFound('User', user.user_id)
    const epoch = newEpoch()
    await users.setPassword(user.user_id, password)
    await users.describe(held, epoch)
    try {
      await putCredential(records, held, epoch, { version: held.version })
      return epoch
    } catch (error) {
      if (!isPlatformError(error, 'version_conflict') || tried >= most_tries) throw error
    }
  }
}

/** A change of password that died before its last write: the password in force has just been proven, so its epoch counts. */
const adopt = async (records: Records, held: Found, epoch: string): Promise<void> => {
  try {
    await putCredential(records, held, epoch, { version: held.version })
  } catch (error) {
    if (!isPlatformError(error, 'version_conflict')) throw error
  }
}
