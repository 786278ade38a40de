import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import { PlatformError } from '../contract/errors.ts'
import type { App } from '../ports/app.ts'
import { firstAdminKey } from './ensure-first-admin.ts'
import { getUser } from './organization-records.ts'
import { setPassword } from './set-password.ts'

const Claim = z.object({ user_id: z.string(), organization_id: z.string() })

/**
 * A new password of 144 random bits for the first admin, answered once; tokens issued before stop working. For whoever runs the host
 * and lost the first one. Fails with `not_found` before the first start, and when that user was deleted.
 */
export const resetFirstAdmin = async (
  app: Pick<App, 'records' | 'identity'>,
): Promise<{ created: false; generated_password: string }> => {
  const stored = await app.records.get(firstAdminKey)
  if (stored === undefined)
    throw new PlatformError('not_found', 'There is no first admin yet; wanted one to give a new password to')
  const { user_id, organization_id } = Claim.parse(stored.body)
  const { body: user } = await getUser(app, organization_id, user_id)
  const password = randomBytes(18).toString('base64url')
  await setPassword(app, user, password)
  return { created: false, generated_password: password }
}
