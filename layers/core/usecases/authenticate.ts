import { hash } from 'node:crypto'
import { isPlatformError, PlatformError } from '../contract/errors.ts'
import type { Principal } from '../domain/principal.ts'
import { ApiKey, ApiKeyPointer } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import { apiKeyKey, apiKeyPointerKey, findApiKey, findUser } from './organization-records.ts'

type Parts = Pick<App, 'records' | 'identity' | 'log' | 'now'>

export interface Credentials {
  authorization?: string | undefined
  api_key?: string | undefined
  source_ip: string
}

/** How long an answer is kept: the longest a removed user, a changed role or password, or a revoked key still works in another process. */
export const principal_fresh_ms = 4000
const most_principals = 10_000
const last_used_every_ms = 60_000
/** Tokens and keys are far shorter; nothing longer is hashed or looked up. */
const longest_credential = 4096

interface Kept {
  until_ms: number
  principal: Promise<Principal>
}

/** One cache per platform, keyed by the credential itself, in memory only, because a digest is 2 % of a small request; dropped with the platform. */
const caches = new WeakMap<App['records'], Map<string, Kept>>()
const cacheOf = (app: Pick<App, 'records'>): Map<string, Kept> => {
  const known = caches.get(app.records) ?? new Map<string, Kept>()
  caches.set(app.records, known)
  return known
}

/** Forgets every kept answer, so that a change made in this process holds from its next request on. */
export const forgetPrincipals = (app: Pick<App, 'records'>): void => caches.get(app.records)?.clear()

/**
 * Who asks. `Authorization: Bearer <token or ak_…>` or `X-API-Key: ak_…`.
 * Primary course: the credential is found in the cache. Else a token is verified by the identity port and its user read,
 * or the API key of its SHA-256 is read; concurrent requests with one credential share the work.
 * Fails with `unauthenticated` or `token_expired`.
 */
export const authenticate = async (app: Parts, credentials: Credentials): Promise<Principal> => {
  const credential = credentialOf(credentials)
  const now_ms = app.now().getTime()
  const cache = cacheOf(app)
  const kept = cache.get(credential)
  if (kept && kept.until_ms > now_ms) return kept.principal
  const proof = credential.startsWith('ak_')
    ? byApiKey(app, hash('sha256', credential, 'hex'), now_ms)
    : byToken(app, credential, now_ms)
  const entry: Kept = { until_ms: now_ms + principal_fresh_ms, principal: proof.then(({ principal }) => principal) }
  if (cache.size >= most_principals) cache.delete(cache.keys().next().value ?? credential)
  cache.delete(credential)
  cache.set(credential, entry)
  return settle(cache, credential, entry, proof)
}

interface Proof {
  principal: Principal
  /** Shorter than the usual time where the credential itself ends before. */
  until_ms: number
}

/** Failures are not kept. */
const settle = async (cache: Map<string, Kept>, credential: string, entry: Kept, proof: Promise<Proof>): Promise<Principal> => {
  try {
    const { until_ms } = await proof
    entry.until_ms = Math.min(entry.until_ms, until_ms)
    return await entry.principal
  } catch (error) {
    if (cache.get(credential) === entry) cache.delete(credential)
    entry.principal.catch(() => undefined)
    throw error
  }
}

const credentialOf = ({ authorization, api_key }: Credentials): string => {
  const bearer = authorization === undefined ? undefined : /^Bearer +([^\s]+)$/i.exec(authorization)?.[1]
  if (authorization !== undefined && bearer === undefined)
    throw new PlatformError('unauthenticated', 'The Authorization header wants the form: Bearer <token or API key>')
  if (api_key !== undefined && !api_key.startsWith('ak_'))
    throw new PlatformError('unauthenticated', 'X-API-Key wants an API key, which begins with ak_')
  if (bearer !== undefined && api_key !== undefined && bearer !== api_key)
    throw new PlatformError('unauthenticated', 'Authorization and X-API-Key carry different credentials; send one of them')
  const credential = bearer ?? api_key
  if (credential === undefined)
    throw new PlatformError(
      'unauthenticated',
      'This route wants a token or an API key: Authorization: Bearer <token>, or X-API-Key: ak_…',
    )
  if (credential.length > longest_credential)
    throw new PlatformError('unauthenticated', `The credential is longer than ${longest_credential} characters`)
  return credential
}

const byToken = async (app: Parts, token: string, now_ms: number): Promise<Proof> => {
  const claims = await app.identity.verify(token)
  const user = (await findUser(app, claims.organization_id, claims.user_id))?.body
  if (!user) throw new PlatformError('unauthenticated', 'The user of this token was removed')
  const principal: Principal = {
    kind: 'user',
    id: user.id,
    name: user.username,
    organization_id: user.organization_id,
    role: user.role,
  }
  return { principal, until_ms: Math.min(now_ms + principal_fresh_ms, Date.parse(claims.expires_at)) }
}

const byApiKey = async (app: Parts, sha256: string, now_ms: number): Promise<Proof> => {
  const pointer = await app.records.get(apiKeyPointerKey(sha256))
  const at = pointer && ApiKeyPointer.parse(pointer.body)
  const found = at && (await findApiKey(app, at.organization_id, at.key_id))
  if (!found || found.body.sha256 !== sha256) throw new PlatformError('unauthenticated', 'The API key is unknown or was revoked')
  const key = found.body
  if (now_ms - Date.parse(key.last_used_at ?? key.created_at) >= last_used_every_ms || key.last_used_at === null)
    await noteUse(app, key, found.version, now_ms)
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

/** Whoever writes first in a minute wins; that it was used is never a reason to refuse a request. */
const noteUse = async (app: Parts, key: ApiKey, version: string, now_ms: number): Promise<void> => {
  const used = ApiKey.parse({ ...key, last_used_at: new Date(now_ms).toISOString() })
  try {
    await app.records.write([{ put: { ...apiKeyKey(key.organization_id, key.id), body: used }, expect: { version } }])
  } catch (error) {
    if (!isPlatformError(error, 'version_conflict'))
      app.log.warn('last use of an API key not noted', { key_id: key.id, detail: String(error) })
  }
}
