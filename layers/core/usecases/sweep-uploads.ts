import { errorChain } from '../contract/errors.ts'
import { PendingUpload } from '../domain/upload.ts'
import type { App } from '../ports/app.ts'
import { everyStored } from './every-stored.ts'
import { discardUpload, PENDING_UPLOADS } from './pending-uploads.ts'

/**
 * Remove what unfinished uploads left: past their time, or, with `host_restarted`, every form, because a form lives no longer than
 * the host that was reading it. Call it so at start, before the host listens. Answers how many uploads it removed.
 */
export const sweepUploads = async (
  app: Pick<App, 'records' | 'artifacts' | 'now' | 'log'>,
  { host_restarted = false }: { host_restarted?: boolean } = {},
): Promise<number> => {
  const now = app.now().toISOString()
  let removed = 0
  for await (const { pk, sk } of everyStored(app.records, {
    index: 'worklist',
    pk: PENDING_UPLOADS,
    ...(!host_restarted && { to: `${now}#~` }),
  })) {
    const stored = await app.records.get({ pk, sk })
    if (!stored) continue
    const upload = PendingUpload.parse(stored.body)
    if (upload.expires_at > now && !(host_restarted && upload.announced === null)) continue
    try {
      await discardUpload(app, upload)
      removed += 1
    } catch (error) {
      app.log.warn('upload not swept', { id: upload.id, cause: errorChain(error) })
    }
  }
  return removed
}
