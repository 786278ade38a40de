import { createHash } from 'node:crypto'
import { errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from 'jose'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'

/** No token of a known issuer comes near it; longer ones are refused unread. */
const longest_token = 4096
const most_verified = 10_000

/**
 * The token's payload once signature, end and whatever `wanted` names are proven; a key that the header names by URL or by value is never
 * used. `parse` reads the claims. Fails with `unauthenticated` or `token_expired`.
 */
export const verifyToken = async <Claims>(
  token: string,
  key: JWTVerifyGetKey,
  wanted: JWTVerifyOptions & { algorithms: string[]; currentDate: Date },
  parse: (payload: JWTPayload) => Claims,
): Promise<Claims> => {
  try {
    const { payload } = await jwtVerify(token, key, wanted)
    return parse(payload)
  } catch (cause) {
    if (cause instanceof errors.JWTExpired)
      throw new PlatformError('token_expired', 'The token has expired; sign in again', { cause })
    if (cause instanceof errors.JOSEError || cause instanceof z.ZodError)
      throw new PlatformError('unauthenticated', 'The token is not valid', { cause })
    throw cause
  }
}

/** What was proven once is remembered by the token's SHA-256 until the token ends: a signature costs 50 to 100 µs and more. */
export const rememberedTokens = <Claims extends { expires_at: string }>(
  now: () => Date,
  prove: (token: string) => Promise<Claims>,
): ((token: string) => Promise<Claims>) => {
  const verified = new Map<string, Claims>()
  return async (token) => {
    if (token.length > longest_token)
      throw new PlatformError('unauthenticated', `The token has ${token.length} characters; wanted at most ${longest_token}`)
    const digest = createHash('sha256').update(token).digest('base64url')
    const known = verified.get(digest)
    if (known && Date.parse(known.expires_at) > now().getTime()) return known
    verified.delete(digest)
    const claims = await prove(token)
    if (verified.size >= most_verified) verified.delete(verified.keys().next().value ?? digest)
    verified.set(digest, claims)
    return claims
  }
}
