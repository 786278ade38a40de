import { createHash, randomBytes } from 'node:crypto'
import * as z from 'zod'
import { notFound, PlatformError } from '../core/contract/errors.ts'
import { addressBlock } from '../core/domain/cidr.ts'
import { canonicalUsername } from '../core/domain/user.ts'
import type { Identity, UserIdentity } from '../core/ports/identity.ts'
import type { Records } from '../core/ports/records.ts'
import type { Secrets } from '../core/ports/secrets.ts'
import { signingKeys } from './embedded-keys.ts'
import { PasswordHash, passwordHasher } from './embedded-passwords.ts'
import { tokenIssuer } from './embedded-tokens.ts'
import { slowDown } from './slow-down.ts'

export interface EmbeddedIdentityParts {
  records: Records
  secrets: Secrets
  now(): Date
  /** `iss` of every token, the platform's public URL. */
  issuer: string
  token_ttl_s?: number
  /** Cost of new password hashes, a power of two; 2^15 unless told. */
  scrypt_n?: number
}

/** What proves a user. `epoch` changes with every password; a token carries the one it was issued under. */
const Credential = z.object({
  user_id: z.string(),
  username: z.string(),
  organization_id: z.string(),
  epoch: z.string(),
  password: PasswordHash,
})
type Credential = z.infer<typeof Credential>

/**
 * The platform's own issuer. A verified signature is remembered by the token's SHA-256 until the token expires; the user's
 * credential is read at every call, so a new password or a forgotten user is seen at once.
 */
export const embeddedIdentity = ({
  records,
  secrets,
  now,
  issuer,
  token_ttl_s = 3600,
  scrypt_n,
}: EmbeddedIdentityParts): Identity => {
  const keys = signingKeys(secrets, now, token_ttl_s)
  const hasher = passwordHasher(scrypt_n)
  const tokens = tokenIssuer({ keys, now, issuer, token_ttl_s })
  const by_name = slowDown({ free: 10, longest_wait_s: 60 }, now)
  /** Looser: many people may share one address, and nobody should lock a whole office out for long. */
  const by_address = slowDown({ free: 50, longest_wait_s: 60 }, now)
  const credentialOf = async (username: string): Promise<Credential | undefined> => {
    const stored = await records.get(credentialKey(username))
    return stored && Credential.parse(stored.body)
  }
  const proven = async (username: string, password: string): Promise<Credential | undefined> => {
    const name = digest(canonicalUsername(username))
    by_name.begin(name)
    const credential = await credentialOf(username)
    if (!(await hasher.matches(password, credential?.password))) return undefined
    by_name.succeed(name, true)
    return credential
  }
  const credentialFor = async ({ user_id, username, organization_id }: UserIdentity, password: string): Promise<Credential> => ({
    user_id,
    username,
    organization_id,
    epoch: randomBytes(12).toString('base64url'),
    password: await hasher.hash(password),
  })
  return {
    signIn: async ({ username, password, source_ip }) => {
      const address = addressBlock(source_ip)
      by_address.begin(address)
      const credential = await proven(username, password)
      if (!credential) throw new PlatformError('unauthenticated', 'The user name or the password is wrong')
      by_address.succeed(address, false)
      return tokens.issue(credential)
    },
    verify: async (token) => {
      const claims = await tokens.read(token)
      const credential = await credentialOf(claims.username)
      if (credential?.user_id !== claims.user_id || credential.epoch !== claims.epoch)
        throw new PlatformError('unauthenticated', 'The token is no longer valid; sign in again')
      return claims
    },
    enrol: async (user, password) => {
      const body = await credentialFor(user, password)
      await records.write([{ put: { ...credentialKey(user.username), body }, expect: 'any' }])
      return { epoch: body.epoch }
    },
    setPassword: async (user, password) => {
      const body = await credentialFor(user, password)
      const stored = await records.get(credentialKey(user.username))
      if (!stored || Credential.parse(stored.body).user_id !== user.user_id) throw notFound('User', user.user_id)
      await records.write([{ put: { ...credentialKey(user.username), body }, expect: { version: stored.version } }])
      by_name.succeed(digest(canonicalUsername(user.username)), true)
      return { epoch: body.epoch }
    },
    checkPassword: async (username, password) => (await proven(username, password)) !== undefined,
    forget: async ({ user_id, username }) => {
      const stored = await records.get(credentialKey(username))
      if (stored && Credential.parse(stored.body).user_id === user_id)
        await records.write([{ remove: credentialKey(username), expect: { version: stored.version } }])
    },
    publicKeys: async () => ({ keys: (await keys.all()).map((key) => key.public_jwk) }),
    rotateKeys: keys.rotate,
  }
}

/** Hashed, because a name may be long and a partition key may not. */
const credentialKey = (username: string) => ({ pk: `credential#${digest(canonicalUsername(username))}`, sk: 'credential' })
const digest = (text: string): string => createHash('sha256').update(text).digest('base64url')
