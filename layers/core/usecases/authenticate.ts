import { hash } from 'node:crypto'
import { isPlatformError, PlatformError } from '../contract/errors.ts'
import type { Principal } from '../domain/principal.ts'
import { type ApiKey, ApiKeyPointer, type User } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import type { TokenClaims } from '../ports/identity.ts'
import type { Operation } from '../ports/records.ts'
import { putAccessKey, putAccessUser } from './access-records.ts'
import { type Credentials, credentialOf, isApiKey, keptPrincipal, type Proof, principal_fresh_ms } from './kept-principals.ts'
import { apiKeyPointerKey, type Found, findApiKey, findUser, putApiKey, putUser } from './organization-records.ts'

type Parts = Pick<App, 'records' | 'identity' | 'log' | 'now'>

const last_used_every_ms = 60_000

/**
 * Who asks. `Authorization: Bearer <token or ak_…>` or `X-API-Key: ak_…`.
 * Primary course: the credential is found in the cache. Else a token is verified by the identity port and its user read,
 * or the API key of its SHA-256 is read; concurrent requests with one credential share the work.
 * Fails with `unauthenticated` or `token_expired`.
 */
export const authenticate = async (app: Parts, credentials: Credentials): Promise<Principal> => {
  const credential = credentialOf(credentials)
  const now_ms = app.now().getTime()
  return keptPrincipal(app, credential, now_ms, () =>
    isApiKey(credential) ? byApiKey(app, hash('sha256', credential, 'hex'), now_ms) : byToken(app, credential, now_ms),
  )
}

const byToken = async (app: Parts, token: string, now_ms: number): Promise<Proof> => {
  const claims = await app.identity.verify(token)
  const found = await findUser(app, claims.organization_id, claims.user_id)
  if (!found) throw new PlatformError('unauthenticated', 'The user of this token was removed')
  const user = found.body
  await keepAccess(app, found, claims)
  const principal: Principal = {
    kind: 'user',
    id: user.id,
    name: user.username,
    organization_id: user.organization_id,
    role: user.role,
  }
  return { principal, until_ms: Math.min(now_ms + principal_fresh_ms, Date.parse(claims.expires_at)) }
}

/**
 * Brings the access partition up to date where it does not know the user, or not the password epoch that the identity port has just
 * proven to be in force: the user is older than the partition, or a change of password died half way.
 */
const keepAccess = async (app: Parts, { body, version }: Found<User>, { epoch }: TokenClaims): Promise<void> => {
  if (body.token_epoch !== undefined && (epoch === undefined || epoch === body.token_epoch)) return
  const user: User = { ...body, token_epoch: epoch ?? body.token_epoch ?? null }
  await inPassing(app, { user_id: user.id }, [putUser(user, { version }), ...putAccessUser(user)])
}

const byApiKey = async (app: Parts, sha256: string, now_ms: number): Promise<Proof> => {
  const pointer = await app.records.get(apiKeyPointerKey(sha256))
  const at = pointer && ApiKeyPointer.parse(pointer.body)
  const found = at && (await findApiKey(app, at.organization_id, at.key_id))
  if (!found || found.body.sha256 !== sha256) throw new PlatformError('unauthenticated', 'The API key is unknown or was revoked')
  const key = found.body
  if (now_ms - Date.parse(key.last_used_at ?? key.created_at) >= last_used_every_ms || key.last_used_at === null)
    await noteUse(app, found, now_ms)
  const principal: Principal = {
    kind: 'api_key',
    id: key.id,
    name: key.name,
    organization_id: key.organization_id,
    role: key.role,
    ...(key.policy && { policy: key.policy }),
  }
  return { principal, until_ms: now_ms + principal_fresh_ms }
}

/** Whoever writes first in a minute wins. A key older than the access partition enters it here. */
const noteUse = (app: Parts, { body, version }: Found<ApiKey>, now_ms: number): Promise<void> => {
  const used: ApiKey = { ...body, last_used_at: new Date(now_ms).toISOString(), in_access: true }
  return inPassing(app, { key_id: body.id }, [
    putApiKey(used, { version }),
    ...(body.in_access === true ? [] : [putAccessKey(used)]),
  ])
}

/** A write that serves another request than this one: that it failed is logged and never a reason to refuse. */
const inPassing = async (app: Parts, about: Record<string, string>, operations: Operation[]): Promise<void> => {
  try {
    await app.records.write(operations)
  } catch (error) {
    if (!isPlatformError(error, 'version_conflict'))
      app.log.warn('use of a credential not noted', { ...about, detail: String(error) })
  }
}
