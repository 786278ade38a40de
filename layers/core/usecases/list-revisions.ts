import type { Revision } from '../contract/routes/deployments.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { readDeployment } from './deployment-records.ts'
import { readRevisions } from './revisions.ts'

/** Every revision of a deployment, newest first, also those that never came up. Fails with `not_found`. */
export const listRevisions = async (
  app: Pick<App, 'records'>,
  { organization_id }: Pick<Principal, 'organization_id'>,
  id: string,
): Promise<Revision[]> => {
  await readDeployment(app, { organization_id, id })
  return readRevisions(app, { organization_id, id })
}
