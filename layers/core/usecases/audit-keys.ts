import type { PlatformEvent } from '../contract/events.ts'
import type { Key } from '../ports/records.ts'
import { organizationKey } from './record-keys.ts'

/** `audit#<timestamp>#<event id>`: sorts by time, and the same event has the same key whenever it comes. */
export const auditKey = ({ organization_id, timestamp, id }: PlatformEvent): Key =>
  organizationKey(organization_id, 'audit', `${instant(timestamp)}#${id}`)

/** One length for all, so that text sorts as time does. */
export const instant = (timestamp: string): string => new Date(timestamp).toISOString()
