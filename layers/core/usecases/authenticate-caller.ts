import { hash } from 'node:crypto'
import { PlatformError } from '../contract/errors.ts'
import { AccessKey, AccessName, AccessUser } from '../domain/access.ts'
import type { Principal } from '../domain/principal.ts'
import type { TokenClaims } from '../ports/identity.ts'
import type { Records } from '../ports/records.ts'
import { accessKeyKey, accessNameKey, accessUserKey } from './access-records.ts'
import { type Credentials, credentialOf, isApiKey, keptPrincipal, type Proof, principal_fresh_ms } from './kept-principals.ts'

/** What a token's signature alone proves. The platform's own names the user's id and password epoch, another issuer's the user name only. */
export type CallerClaims = Pick<TokenClaims, 'username' | 'expires_at'> & Partial<TokenClaims>

export interface CallerParts {
  records: Pick<Records, 'get'>
  /** Proves a token by its signature, issuer and end, without a read. Fails with `unauthenticated` or `token_expired`. */
  identity: { verify(token: string): Promise<CallerClaims> }
  now(): Date
}

/**
 * Who calls a function that may read nothing but `access#<organization_id>`. Answers and refuses as `authenticate` does, at most four
 * seconds old; whoever belongs to another organisation is refused like somebody unknown.
 * Primary course: the credential is found in the cache. Else the key's digest, or the user of a proven token, is read there.
 * Fails with `unauthenticated` or `token_expired`.
 */
export const authenticateCaller = async (
  parts: CallerParts,
  organization_id: string,
  credentials: Credentials,
): Promise<Principal> => {
  const credential = credentialOf(credentials)
  const now_ms = parts.now().getTime()
  return keptPrincipal(parts, `${organization_id} ${credential}`, now_ms, () =>
    isApiKey(credential)
      ? byApiKey(parts, organization_id, hash('sha256', credential, 'hex'), now_ms)
      : byToken(parts, organization_id, credential, now_ms),
  )
}

const byApiKey = async ({ records }: CallerParts, organization_id: string, sha256: string, now_ms: number): Promise<Proof> => {
  const stored = await records.get(accessKeyKey(organization_id, sha256))
  if (!stored) throw new PlatformError('unauthenticated', 'The API key is unknown or was revoked')
  const { key_id, name, role, policy } = AccessKey.parse(stored.body)
  const principal: Principal = { kind: 'api_key', id: key_id, name, organization_id, role, ...(policy && { policy }) }
  return { principal, until_ms: now_ms + principal_fresh_ms }
}

const byToken = async (parts: CallerParts, organization_id: string, token: string, now_ms: number): Promise<Proof> => {
  const claims = await parts.identity.verify(token)
  const foreign = claims.organization_id !== undefined && claims.organization_id !== organization_id
  const id = foreign ? undefined : (claims.user_id ?? (await namedUser(parts, organization_id, claims.username)))
  const stored = id === undefined ? undefined : await parts.records.get(accessUserKey(organization_id, id))
  if (id === undefined || !stored) throw new PlatformError('unauthenticated', 'The user of this token was removed')
  const { name, role, epoch } = AccessUser.parse(stored.body)
  if (claims.epoch !== undefined && claims.epoch !== epoch)
    throw new PlatformError('unauthenticated', 'The token is no longer valid; sign in again')
  const principal: Principal = { kind: 'user', id, name, organization_id, role }
  return { principal, until_ms: Math.min(now_ms + principal_fresh_ms, Date.parse(claims.expires_at)) }
}

const namedUser = async ({ records }: CallerParts, organization_id: string, username: string): Promise<string | undefined> => {
  const stored = await records.get(accessNameKey(organization_id, username))
  return stored && AccessName.parse(stored.body).user_id
}
