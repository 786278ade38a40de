import type { App } from '../ports/app.ts'
import { changeDeployment, inState } from './change-deployment.ts'
import { findCachedDeployment } from './find-cached-deployment.ts'

/**
 * The deployer gives a deployment up, e.g. in a crash loop: active → failed with the reason. Anything else than active and settled is
 * left alone, since whoever changes it finds out by itself.
 */
export const failDeployment = async (
  app: Pick<App, 'records' | 'now' | 'log'>,
  deployment_id: string,
  reason: string,
): Promise<void> => {
  const { deployment: found } = await findCachedDeployment(app, deployment_id)
  if (found === undefined || found.status === 'deleted') return
  const { changed } = await changeDeployment(app, found, (current) =>
    current.status === 'active' && current.transition === null
      ? { next: inState(app, current, { status: 'failed', status_reason: reason, transition: null }) }
      : undefined,
  )
  if (changed) app.log.warn('deployment_failed', { deployment_id, reason })
}
