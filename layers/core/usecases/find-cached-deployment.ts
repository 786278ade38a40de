import type { App } from '../ports/app.ts'
import { type CacheEntry, type DeploymentMemory, memoryOf, rememberOrganization, trim } from './deployment-memory.ts'
import { lookupPartition, parseDeployment } from './deployment-records.ts'

type Needs = Pick<App, 'records' | 'now'>

/** A cached deployment is at most this old; changes made by this process are seen at once. */
export const STALE_MS = 1000
const MOST_ENTRIES = 10_000

/** The cached deployment if it may be used right now, without waiting for anything. */
export const cachedDeployment = (app: Needs, deployment_id: string): CacheEntry | undefined => {
  const memory = memoryOf(app)
  const entry = memory.entries.get(deployment_id)
  return entry !== undefined && !memory.writes.has(deployment_id) && isFresh(app, entry, STALE_MS) ? entry : undefined
}

/**
 * A deployment by its id alone, tombstones included, from memory when it was read less than `max_age_ms` ago. Many callers share one
 * read, and a read that a write overtook is repeated. The answer was current when this resolved; check `cachedDeployment` again
 * before acting on it later.
 */
export const findCachedDeployment = async (app: Needs, deployment_id: string, max_age_ms = STALE_MS): Promise<CacheEntry> => {
  const memory = memoryOf(app)
  for (;;) {
    const writes = memory.writes.get(deployment_id)
    if (writes !== undefined) await Promise.allSettled(writes)
    const known = memory.entries.get(deployment_id)
    if (known !== undefined && !memory.writes.has(deployment_id) && isFresh(app, known, max_age_ms)) return known
    const entry = await (memory.reads.get(deployment_id) ?? startRead(app, memory, deployment_id))
    if (memory.entries.get(deployment_id) === entry && !memory.writes.has(deployment_id)) return entry
  }
}

const isFresh = (app: Needs, entry: CacheEntry, max_age_ms: number): boolean => {
  const age_ms = app.now().getTime() - entry.read_at_ms
  return age_ms >= 0 && age_ms <= max_age_ms
}

const startRead = (app: Needs, memory: DeploymentMemory, id: string): Promise<CacheEntry> => {
  const generation = memory.generations.get(id) ?? 0
  const reading = read(app, memory, id)
    .then((entry) => {
      if ((memory.generations.get(id) ?? 0) === generation) {
        memory.entries.set(id, entry)
        trim(memory.entries, MOST_ENTRIES)
      }
      return entry
    })
    .finally(() => memory.reads.delete(id))
  memory.reads.set(id, reading)
  return reading
}

/** Through the index when the organisation is not known yet, then always by key: the index may be a moment old. */
const read = async (app: Needs, memory: DeploymentMemory, id: string): Promise<CacheEntry> => {
  const read_at_ms = app.now().getTime()
  const organization_id = memory.organizations.get(id)
  const key =
    organization_id !== undefined
      ? { pk: `org#${organization_id}`, sk: `deployment#${id}` }
      : (await app.records.query({ index: 'lookup', pk: lookupPartition(id), limit: 1 })).items[0]
  const stored = key === undefined ? undefined : await app.records.get({ pk: key.pk, sk: key.sk })
  const deployment = stored === undefined ? undefined : parseDeployment(stored)
  if (deployment !== undefined) rememberOrganization(memory, deployment)
  return { id, deployment, read_at_ms }
}
