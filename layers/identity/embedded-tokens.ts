import { SignJWT } from 'jose'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import type { TokenClaims, UserIdentity } from '../core/ports/identity.ts'
import type { SigningKeys } from './embedded-keys.ts'
import { rememberedTokens, verifyToken } from './verify-token.ts'

const audience = 'aideploy'

const Claims = z.object({
  sub: z.string(),
  preferred_username: z.string(),
  organization_id: z.string(),
  epoch: z.string(),
  exp: z.number(),
})
type Claims = z.infer<typeof Claims>

export interface TokenIssuerParts {
  keys: SigningKeys
  now(): Date
  issuer: string
  token_ttl_s: number
}

/** Who a token says it is, and under which password it was issued. */
export interface EpochClaims extends TokenClaims {
  epoch: string
}

export interface TokenIssuer {
  issue(user: UserIdentity & { epoch: string }): Promise<{ token: string; expires_at: string }>
  /** Proves signature, issuer, audience and end, nothing else. Fails with `unauthenticated` or `token_expired`. */
  read(token: string): Promise<EpochClaims>
}

/** ES256 tokens (RFC 7515, 7519). */
export const tokenIssuer = (parts: TokenIssuerParts): TokenIssuer => ({
  issue: (user) => issue(user, parts),
  read: rememberedTokens(parts.now, (token) => check(token, parts)),
})

const issue = async (
  { user_id, username, organization_id, epoch }: UserIdentity & { epoch: string },
  { keys, now, issuer, token_ttl_s }: TokenIssuerParts,
) => {
  const key = await keys.current()
  const issued_s = Math.floor(now().getTime() / 1000)
  const expires_s = issued_s + token_ttl_s
  const token = await new SignJWT({ preferred_username: username, organization_id, epoch })
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: key.kid })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(user_id)
    .setIssuedAt(issued_s)
    .setExpirationTime(expires_s)
    .sign(key.private_key)
  return { token, expires_at: new Date(expires_s * 1000).toISOString() }
}

/** ES256 with one of our keys, our issuer and audience, not expired. */
const check = (token: string, { keys, issuer, now }: TokenIssuerParts): Promise<EpochClaims> => {
  const keyFor = async ({ kid }: { kid?: string }) => {
    const key = kid === undefined ? undefined : await keys.find(kid)
    if (!key) throw new PlatformError('unauthenticated', 'The token was not signed by this platform')
    return key.public_key
  }
  const wanted = { algorithms: ['ES256'], issuer, audience, currentDate: now(), requiredClaims: ['sub', 'exp', 'iat'] }
  return verifyToken(token, keyFor, wanted, (payload) => epochClaims(Claims.parse(payload)))
}

const epochClaims = (claims: Claims): EpochClaims => ({
  user_id: claims.sub,
  username: claims.preferred_username,
  organization_id: claims.organization_id,
  epoch: claims.epoch,
  expires_at: new Date(claims.exp * 1000).toISOString(),
})
