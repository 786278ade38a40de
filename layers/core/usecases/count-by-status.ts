import * as z from 'zod'
import type { App } from '../ports/app.ts'
import type { Operation } from '../ports/records.ts'
import { organizationKey, organizationPartition } from './record-keys.ts'

/**
 * How many documents of a kind an organisation has, by status. The counts lie in 64 documents, chosen by the id of the
 * counted document, so that writers of different documents seldom meet; each count changes in the transaction that changes
 * the document it counts.
 */
const Counter = z.object({ by_status: z.record(z.string(), z.number().int().min(0)) })
const SHARDS = 64

const shardOf = (id: string): number => {
  let sum = 0
  for (let at = 0; at < id.length; at += 1) sum = (sum * 31 + id.charCodeAt(at)) >>> 0
  return sum % SHARDS
}

/**
 * The operation that counts a change, for the same `records.write` as the change itself; empty when the status stays.
 * `from` undefined: the document is new; `to` undefined: it is gone. Repeat with a fresh call on `version_conflict`
 * (see `retryConflicts`).
 */
export const countChange = async (
  app: Pick<App, 'records'>,
  change: { organization_id: string; kind: string; id: string; from?: string | undefined; to?: string | undefined },
): Promise<Operation[]> => {
  if (change.from === change.to) return []
  const key = organizationKey(change.organization_id, `count-${change.kind}`, String(shardOf(change.id)))
  const stored = await app.records.get(key)
  const by_status = stored ? Counter.parse(stored.body).by_status : {}
  if (change.from !== undefined) by_status[change.from] = Math.max(0, (by_status[change.from] ?? 0) - 1)
  if (change.to !== undefined) by_status[change.to] = (by_status[change.to] ?? 0) + 1
  return [{ put: { ...key, body: { by_status } }, expect: stored ? { version: stored.version } : 'absent' }]
}

/** The counts of a kind in an organisation; statuses that nothing has are left out. */
export const countsByStatus = async (
  app: Pick<App, 'records'>,
  organization_id: string,
  kind: string,
): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {}
  const { items } = await app.records.query({
    pk: organizationPartition(organization_id),
    from: `count-${kind}#`,
    to: `count-${kind}#~`,
    limit: SHARDS,
  })
  for (const item of items)
    for (const [status, count] of Object.entries(Counter.parse(item.body).by_status)) {
      if (count > 0) counts[status] = (counts[status] ?? 0) + count
    }
  return counts
}
