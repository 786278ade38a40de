import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { removeAccessKey } from './access-records.ts'
import { forgetPrincipals } from './kept-principals.ts'
import { apiKeyKey, apiKeyPointerKey, getApiKey } from './organization-records.ts'
import { retryConflicts } from './retry-conflicts.ts'

/** Revokes a key: here from the next request on, in other processes within four seconds. Fails with `not_found`. */
export const revokeApiKey = async (
  app: Pick<App, 'records'>,
  principal: Principal,
  key_id: string,
): Promise<{ message: string }> => {
  await retryConflicts(async () => {
    const { body, version } = await getApiKey(app, principal.organization_id, key_id)
    await app.records.write([
      { remove: apiKeyKey(principal.organization_id, key_id), expect: { version } },
      { remove: apiKeyPointerKey(body.sha256), expect: 'any' },
      removeAccessKey(body),
    ])
  })
  forgetPrincipals(app)
  return { message: `API key ${key_id} revoked successfully` }
}
