import type { App } from '../ports/app.ts'

/** Answers `ok` when the records can be read, else `degraded`; never fails, so that a probe always gets its body. */
export const checkHealth = async (
  app: Pick<App, 'records' | 'now' | 'config'>,
): Promise<{ timestamp: string; version: string; status: 'ok' | 'degraded' }> => {
  const readable = await app.records.get({ pk: 'platform', sk: 'health' }).then(
    () => true,
    () => false,
  )
  return { timestamp: app.now().toISOString(), version: app.config.version, status: readable ? 'ok' : 'degraded' }
}
