import type { Principal } from '../domain/principal.ts'
import { User } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import { documentsOf } from './organization-records.ts'

/** Users of the caller's organisation, oldest first. */
export const listUsers = (app: Pick<App, 'records'>, principal: Principal): Promise<User[]> =>
  documentsOf(app, principal.organization_id, 'user', User)
