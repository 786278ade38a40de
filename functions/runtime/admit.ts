import { isPlatformError, notFound, PlatformError } from '../../layers/core/contract/errors.ts'
import { authorize } from '../../layers/core/domain/policy.ts'
import { authenticateCaller, type CallerParts } from '../../layers/core/usecases/authenticate-caller.ts'
import type { ModelRequest } from './call.ts'
import { environment } from './environment.ts'
import { identity, now, records } from './parts.ts'

const { AIDEPLOY_ORGANIZATION: organization_id, AIDEPLOY_DEPLOYMENT: deployment_id } = environment
const isOpen = environment.AIDEPLOY_ENDPOINT_AUTH === 'none'

/** A proven token of another organisation: to its bearer this deployment does not exist. */
const ownIdentity: CallerParts['identity'] = {
  verify: async (token) => {
    const claims: { organization_id?: string } & Awaited<ReturnType<typeof identity.verify>> = await identity.verify(token)
    if (claims.organization_id !== undefined && claims.organization_id !== organization_id)
      throw notFound('Deployment', deployment_id)
    return claims
  },
}

/**
 * Lets a caller in as the platform's own path does, or fails with `unauthenticated`, `token_expired`, `forbidden`, `policy_denied` or
 * `not_found`. An open endpoint wants no credential, but a wrong one is refused.
 */
export const admit = async ({ headers, source_ip, from_platform }: ModelRequest): Promise<void> => {
  const { authorization, 'x-api-key': api_key } = headers
  if (from_platform || (isOpen && authorization === undefined && api_key === undefined)) return
  const parts = { records, identity: ownIdentity, now }
  try {
    const principal = await authenticateCaller(parts, organization_id, { authorization, api_key, source_ip })
    const demand = { role: 'viewer', action: 'deployments:invoke', resource: `deployments/${deployment_id}` } as const
    const verdict = authorize(principal, demand, source_ip, now())
    if (!verdict.allowed) throw new PlatformError(verdict.code, verdict.reason)
  } catch (error) {
    // Open to everybody is open to other organisations too.
    if (!(isOpen && isPlatformError(error, 'not_found'))) throw error
  }
}
