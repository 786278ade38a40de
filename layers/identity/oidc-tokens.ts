import { decodeJwt, type JWTPayload } from 'jose'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import { fetchJson } from './fetch-json.ts'
import type { OidcIssuer } from './oidc-issuer.ts'
import { type RemoteKeys, remoteKeys } from './remote-keys.ts'
import { rememberedTokens, verifyToken } from './verify-token.ts'

/** Whom another issuer's token names. Whether there is such a user is not proven. */
export interface NamedClaims {
  username: string
  expires_at: string
  organization_id?: string
}

export interface OidcTokens {
  /** Whether the token says that one of the issuers made it; nothing of it is believed for that. */
  claims(token: string): boolean
  /** Proves signature, issuer, audience, party, beginning and end. Fails with `unauthenticated`, `token_expired` or `unavailable`. */
  read(token: string): Promise<NamedClaims>
}

/** Public-key signatures only: with a shared secret the platform could make tokens itself. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
/** Two clocks may differ this much. */
const skew_s = 60

/** Tokens of OpenID Connect issuers (Core 1.0 §3.1.3.7), found by their discovery documents. */
export const oidcTokens = (issuers: readonly OidcIssuer[], now: () => Date): OidcTokens => {
  const known = new Map(issuers.map((issuer) => [issuer.issuer, { issuer, keys: issuerKeys(issuer, now) }]))
  const prove = async (token: string): Promise<NamedClaims> => {
    const found = known.get(issuerOf(token) ?? '')
    if (!found) throw new PlatformError('unauthenticated', 'The token was made by an issuer that is not known here')
    const { issuer, audience } = found.issuer
    const wanted = { algorithms, issuer, audience, currentDate: now(), clockTolerance: skew_s, requiredClaims: ['exp', 'iat'] }
    return verifyToken(token, found.keys.find, wanted, (payload) => namedClaims(payload, found.issuer))
  }
  return { claims: (token) => known.has(issuerOf(token) ?? ''), read: rememberedTokens(now, prove) }
}

const Discovery = z.object({ issuer: z.string(), jwks_uri: z.url() })

/** OpenID Connect Discovery 1.0 §4: the document must name the issuer it was fetched from. */
const issuerKeys = ({ issuer, allow_private }: OidcIssuer, now: () => Date): RemoteKeys => {
  const load = async (): Promise<unknown> => {
    const document = await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, { allow_private })
    const found = Discovery.parse(document)
    if (found.issuer !== issuer) throw new Error(`The discovery document of ${issuer} is that of ${found.issuer}`)
    return fetchJson(found.jwks_uri, { allow_private })
  }
  return remoteKeys(issuer, load, now)
}

/** Longer ones are refused by `read`, and not decoded only to see whose they are. */
const longest_decoded = 4096

const issuerOf = (token: string): string | undefined => {
  try {
    return token.length > longest_decoded ? undefined : decodeJwt(token).iss
  } catch {
    return undefined
  }
}

/** As the platform's own rule for user names. */
const longest_username = 128

const namedClaims = (payload: JWTPayload, { audience, username_claim, authorized_parties, organization_id }: OidcIssuer) => {
  const { azp, exp = 0 } = payload
  const several = Array.isArray(payload.aud) && payload.aud.length > 1
  const parties = authorized_parties ?? [audience]
  if ((several || azp !== undefined) && !(typeof azp === 'string' && parties.includes(azp)))
    throw new PlatformError('unauthenticated', 'The token was made for another client')
  const username = payload[username_claim]
  if (typeof username !== 'string' || username === '' || username.length > longest_username)
    throw new PlatformError('unauthenticated', `The token names no user: it wants the claim ${username_claim}`)
  // An address that its issuer has not checked could be anybody's; some issuers say so in text.
  if (username_claim === 'email' && String(payload.email_verified) === 'false')
    throw new PlatformError('unauthenticated', 'The token names an e-mail address that its issuer has not verified')
  return { username, expires_at: new Date(exp * 1000).toISOString(), ...(organization_id !== undefined && { organization_id }) }
}
