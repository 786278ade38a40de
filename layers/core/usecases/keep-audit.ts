import { isPlatformError } from '../contract/errors.ts'
import type { PlatformEvent } from '../contract/events.ts'
import { JsonObject } from '../domain/json.ts'
import type { App } from '../ports/app.ts'
import { auditKey } from './audit-keys.ts'

/** More than a year, so that an audit of the last one finds all of it. */
export const audit_kept_s = 400 * 86_400

/**
 * Keeps an event for those who ask later what happened. Primary course: the event is new and becomes one document of its organisation.
 * An event that comes again, also much later and in between others, changes nothing.
 */
export const keepAudit = async (app: Pick<App, 'records'>, event: PlatformEvent): Promise<void> => {
  const expires_at = Math.floor(Date.parse(event.timestamp) / 1000) + audit_kept_s
  try {
    await app.records.write([{ put: { ...auditKey(event), body: JsonObject.parse(event), expires_at }, expect: 'absent' }])
  } catch (error) {
    if (!isPlatformError(error, 'version_conflict')) throw error
  }
}
