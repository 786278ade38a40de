import type { CallerParts } from '../core/usecases/authenticate-caller.ts'
import { type CognitoPool, cognitoTokens } from './cognito-tokens.ts'
import type { OidcIssuer } from './oidc-issuer.ts'
import { oidcTokens } from './oidc-tokens.ts'

/**
 * What `authenticateCaller` needs of identity, by public keys alone: no AWS SDK, no record, no permission. For functions that serve one
 * model.
 */
export const callerIdentity = (pool: CognitoPool, issuers: readonly OidcIssuer[], now: () => Date): CallerParts['identity'] => {
  const own = cognitoTokens(pool, now)
  const foreign = oidcTokens(issuers, now)
  return { verify: (token) => (foreign.claims(token) ? foreign.read(token) : own.read(token)) }
}
