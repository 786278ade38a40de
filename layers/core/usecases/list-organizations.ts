import type { Principal } from '../domain/principal.ts'
import { Organization } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import { everyStored } from './every-stored.ts'
import { isOperator } from './may-administer.ts'
import { getOrganization, organizationsIndex } from './organization-records.ts'

/** The caller's organisation; all of them, oldest first, for operators. */
export const listOrganizations = async (app: Pick<App, 'records'>, principal: Principal): Promise<Organization[]> => {
  if (!(await isOperator(app, principal))) return [(await getOrganization(app, principal.organization_id)).body]
  const all: Organization[] = []
  for await (const stored of everyStored(app.records, { index: 'lookup', pk: organizationsIndex }))
    all.push(Organization.parse(stored.body))
  return all
}
