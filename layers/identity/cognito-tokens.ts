import * as z from 'zod'
import type { TokenClaims } from '../core/ports/identity.ts'
import { fetchJson } from './fetch-json.ts'
import { type RemoteKeys, remoteKeys } from './remote-keys.ts'
import { rememberedTokens, verifyToken } from './verify-token.ts'

export interface CognitoPool {
  user_pool_id: string
  /** The app client, `aud` of its tokens. */
  client_id: string
  region: string
  /** `iss` of the tokens; the pool's own unless told. */
  issuer?: string
  /** Where the pool's public keys lie; below the issuer unless told. One that is told may be on this machine. */
  jwks_uri?: string
}

export interface CognitoTokens {
  /** Proves signature, issuer, client and end, nothing else. Fails with `unauthenticated`, `token_expired` or `unavailable`. */
  read(token: string): Promise<TokenClaims & { epoch: string }>
  keys: RemoteKeys
}

/** What an ID token of the pool says. Access tokens have no custom attributes and are refused. */
const Claims = z.object({
  token_use: z.literal('id'),
  preferred_username: z.string(),
  'custom:user_id': z.string(),
  'custom:organization_id': z.string(),
  'custom:epoch': z.string(),
  exp: z.number(),
})

/** Reads the pool's ID tokens (RS256) without the AWS SDK, so that functions which serve a model can. */
export const cognitoTokens = (pool: CognitoPool, now: () => Date): CognitoTokens => {
  const issuer = pool.issuer ?? `https://cognito-idp.${pool.region}.amazonaws.com/${pool.user_pool_id}`
  const jwks_uri = pool.jwks_uri ?? `${issuer}/.well-known/jwks.json`
  const keys = remoteKeys(issuer, () => fetchJson(jwks_uri, { allow_private: pool.jwks_uri !== undefined }), now)
  const prove = (token: string) =>
    verifyToken(
      token,
      keys.find,
      { algorithms: ['RS256'], issuer, audience: pool.client_id, currentDate: now(), requiredClaims: ['sub', 'exp', 'iat'] },
      (payload) => {
        const claims = Claims.parse(payload)
        return {
          user_id: claims['custom:user_id'],
          username: claims.preferred_username,
          organization_id: claims['custom:organization_id'],
          epoch: claims['custom:epoch'],
          expires_at: new Date(claims.exp * 1000).toISOString(),
        }
      },
    )
  return { read: rememberedTokens(now, prove), keys }
}
