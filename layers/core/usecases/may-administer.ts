import { PlatformError } from '../contract/errors.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { getOrganization } from './organization-records.ts'

/** Operators are the admins of the first organisation. */
export const isOperator = async (app: Pick<App, 'records'>, principal: Principal): Promise<boolean> =>
  principal.role === 'admin' && (await getOrganization(app, principal.organization_id)).body.operator

export const requireOperator = async (app: Pick<App, 'records'>, principal: Principal): Promise<void> => {
  if (!(await isOperator(app, principal)))
    throw new PlatformError('forbidden', 'Only operators, the admins of the first organization, may do this')
}

/** What a key with a policy made would be free of that policy's addresses and end, so it may make nothing that signs in. */
export const refuseRestrictedKey = (principal: Principal): void => {
  if (principal.policy !== undefined)
    throw new PlatformError(
      'policy_denied',
      'An API key with a policy cannot make or change users, organizations or keys, which would not be bound by its policy',
    )
}
