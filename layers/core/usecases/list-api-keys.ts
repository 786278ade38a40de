import type { Principal } from '../domain/principal.ts'
import { ApiKey } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import { documentsOf } from './organization-records.ts'

/** API keys of the caller's organisation, oldest first. */
export const listApiKeys = (app: Pick<App, 'records'>, principal: Principal): Promise<ApiKey[]> =>
  documentsOf(app, principal.organization_id, 'api-key', ApiKey)
