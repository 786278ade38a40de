import { PlatformError } from '../core/contract/errors.ts'
import { UsernameClaim } from '../core/domain/user.ts'
import type { Identity, TokenClaims } from '../core/ports/identity.ts'
import type { Records } from '../core/ports/records.ts'
import { usernameKey } from '../core/usecases/organization-records.ts'
import type { OidcIssuer } from './oidc-issuer.ts'
import type { OidcTokens } from './oidc-tokens.ts'

export interface OidcParts {
  issuers: readonly OidcIssuer[]
  records: Pick<Records, 'get'>
  now(): Date
}

/**
 * The identity port that also takes tokens of other issuers: such a token stands for the platform's user of the name it claims, made by
 * an admin beforehand, and ends with that user. Everything else is the wrapped port's. Without issuers it is the port itself.
 */
export const withOidc = (identity: Identity, { issuers, records, now }: OidcParts): Identity => {
  if (issuers.length === 0) return identity
  let loaded: Promise<OidcTokens> | undefined
  return {
    ...identity,
    verify: async (token) => {
      // Imported at the first token, so that a function which proves none does not carry the means.
      loaded ??= import('./oidc-tokens.ts').then(({ oidcTokens }) => oidcTokens(issuers, now))
      const tokens = await loaded
      return tokens.claims(token) ? verifyNamed(tokens, records, token) : identity.verify(token)
    },
  }
}

const verifyNamed = async (tokens: OidcTokens, records: Pick<Records, 'get'>, token: string): Promise<TokenClaims> => {
  const { username, expires_at, organization_id } = await tokens.read(token)
  const stored = await records.get(usernameKey(username))
  const holder = stored && UsernameClaim.parse(stored.body)
  if (!holder || (organization_id !== undefined && holder.organization_id !== organization_id))
    throw new PlatformError('unauthenticated', 'The token names no user of this platform; an admin makes users')
  return { user_id: holder.user_id, username, organization_id: holder.organization_id, expires_at }
}
