import { app } from '#app'
import { ensureFirstAdmin } from '../../layers/core/usecases/ensure-first-admin.ts'
import { resetFirstAdmin } from '../../layers/core/usecases/reset-first-admin.ts'

/**
 * Makes the first admin, or with `reset` a new password for it. Called by hand (`npm run aws:admin`) by somebody whom IAM lets invoke
 * this function; the password is in the answer alone, never in a log, a template or an environment.
 */
export const handler = async (
  event: { reset?: boolean } = {},
): Promise<{ created: boolean; username: string; generated_password?: string }> => {
  const answer = event.reset ? await resetFirstAdmin(app) : await ensureFirstAdmin(app)
  app.log.info('first admin', { created: answer.created, reset: event.reset === true })
  return { ...answer, username: 'admin' }
}
