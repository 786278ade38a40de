import { PlatformEvent } from '../contract/events.ts'
import type { QueryOf } from '../contract/routes.ts'
import type { Principal } from '../domain/principal.ts'
import type { App } from '../ports/app.ts'
import { instant } from './audit-keys.ts'
import { everyStored } from './every-stored.ts'
import { pageToken, readPageToken } from './page-token.ts'
import { organizationPartition } from './record-keys.ts'

/** A page that a narrow filter leaves thin ends here instead of reading a year. */
const most_read = 5000
const default_page_size = 100
const prefix = 'audit#'

/**
 * What happened in the caller's organisation, newest first, `from` (inclusive) until `to` (exclusive), of one type or of all. As in
 * every AIP-158 list, a page may hold fewer than asked for; the token is empty on the last one only.
 */
export const listAudit = async (
  app: Pick<App, 'records'>,
  principal: Principal,
  query: QueryOf<'list-audit'>,
): Promise<{ items: PlatformEvent[]; next_page_token: string }> => {
  const { type, from, to, page_token, page_size = default_page_size } = query
  const list = JSON.stringify(['/audit', type ?? '', from ?? '', to ?? ''])
  const after = page_token ? readPageToken(page_token, { list, prefix }, 'page_token') : undefined
  const range = {
    pk: organizationPartition(principal.organization_id),
    from: from === undefined ? prefix : `${prefix}${instant(from)}`,
    // Every key of an instant begins with it and is longer: the instant itself lies before them all.
    to: after ?? (to === undefined ? `${prefix}~` : `${prefix}${instant(to)}`),
    order: 'desc' as const,
    limit: Math.min(1000, page_size + 2),
  }
  const items: PlatformEvent[] = []
  if (range.from > range.to) return { items, next_page_token: '' }
  let read = 0
  let last = ''
  for await (const { sk, body } of everyStored(app.records, range)) {
    if (sk === after) continue
    if (items.length === page_size || read === most_read) return { items, next_page_token: pageToken(list, last) }
    const event = PlatformEvent.parse(body)
    if (type === undefined || event.type === type) items.push(event)
    read += 1
    last = sk
  }
  return { items, next_page_token: '' }
}
