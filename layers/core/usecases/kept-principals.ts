import { PlatformError } from '../contract/errors.ts'
import type { Principal } from '../domain/principal.ts'

export interface Credentials {
  authorization?: string | undefined
  api_key?: string | undefined
  source_ip: string
}

/** Who a credential stands for, and until when that may be kept. */
export interface Proof {
  principal: Principal
  /** Shorter than the usual time where the credential itself ends before. */
  until_ms: number
}

/** How long an answer is kept: the longest a removed user, a changed role or password, or a revoked key still works in another process. */
export const principal_fresh_ms = 4000
const most_principals = 10_000
/** Tokens and keys are far shorter; nothing longer is hashed or looked up. */
const longest_credential = 4096

interface Kept {
  until_ms: number
  principal: Promise<Principal>
}

/** One cache per platform, keyed by the credential itself, in memory only, because a digest is 2 % of a small request; dropped with the platform. */
const caches = new WeakMap<object, Map<string, Kept>>()
const cacheOf = (app: { records: object }): Map<string, Kept> => {
  const known = caches.get(app.records) ?? new Map<string, Kept>()
  caches.set(app.records, known)
  return known
}

/** Forgets every kept answer, so that a change made in this process holds from its next request on. */
export const forgetPrincipals = (app: { records: object }): void => caches.get(app.records)?.clear()

/**
 * The kept answer for `name` (a credential, and where it matters what it was held against), or `prove`'s. Concurrent requests share
 * the work; failures are not kept.
 */
export const keptPrincipal = async (
  app: { records: object },
  name: string,
  now_ms: number,
  prove: () => Promise<Proof>,
): Promise<Principal> => {
  const cache = cacheOf(app)
  const kept = cache.get(name)
  if (kept && kept.until_ms > now_ms) return kept.principal
  const proof = prove()
  const entry: Kept = { until_ms: now_ms + principal_fresh_ms, principal: proof.then(({ principal }) => principal) }
  if (cache.size >= most_principals) cache.delete(cache.keys().next().value ?? name)
  cache.delete(name)
  cache.set(name, entry)
  try {
    const { until_ms } = await proof
    entry.until_ms = Math.min(entry.until_ms, until_ms)
    return await entry.principal
  } catch (error) {
    if (cache.get(name) === entry) cache.delete(name)
    entry.principal.catch(() => undefined)
    throw error
  }
}

/** The one credential of a request. Fails with `unauthenticated` where there is none, or none that could be one. */
export const credentialOf = ({ authorization, api_key }: Credentials): string => {
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

export const isApiKey = (credential: string): boolean => credential.startsWith('ak_')
