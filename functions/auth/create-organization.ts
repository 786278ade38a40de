import { app } from '#app'
import { organizationReply, userReply } from '../../layers/core/contract/routes/auth.ts'
import { createOrganization } from '../../layers/core/usecases/create-organization.ts'
import { route } from '../entry/http.ts'

export const handler = route('create-organization', async ({ principal, body }) => {
  const { organization, admin } = await createOrganization(app, principal, body)
  return { body: { ...organizationReply(organization), admin: userReply(admin) } }
})
