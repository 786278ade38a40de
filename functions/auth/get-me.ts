import { route } from '../entry/http.ts'

export const handler = route('get-me', async ({ principal: { kind, id, name, organization_id, role, policy } }) => ({
  body: { kind, id, name, organization_id, role, policy: policy ?? null },
}))
