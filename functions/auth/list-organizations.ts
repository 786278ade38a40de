import { app } from '#app'
import { organizationReply } from '../../layers/core/contract/routes/auth.ts'
import { listOrganizations } from '../../layers/core/usecases/list-organizations.ts'
import { route } from '../entry/http.ts'

export const handler = route('list-organizations', async ({ principal }) => ({
  body: (await listOrganizations(app, principal)).map(organizationReply),
}))
