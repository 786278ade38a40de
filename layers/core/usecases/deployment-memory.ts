import type { Deployment } from '../domain/deployment.ts'
import type { App } from '../ports/app.ts'
import type { DeployTarget } from '../ports/deployer.ts'
import type { Records } from '../ports/records.ts'

/**
 * What one process remembers about deployments while it lives: a cache that spares warm inferences a database read, who is writing
 * now, who waits for a change, which drives run here, and the order of deployer verbs per deployment. Nothing in it is needed for
 * correctness across processes: that is what the conditional writes are for.
 */
export interface DeploymentMemory {
  entries: Map<string, CacheEntry>
  /** Organisation by deployment id, once seen: spares the index, which may be a moment old. */
  organizations: Map<string, string>
  reads: Map<string, Promise<CacheEntry>>
  /** Counts the invalidations of an id, so that a read that was overtaken by a write is not kept. */
  generations: Map<string, number>
  writes: Map<string, Set<Promise<unknown>>>
  changes: Map<string, Change>
  drives: Map<string, Promise<Deployment>>
  wakes: Map<string, Promise<boolean>>
  turns: Map<string, Promise<unknown>>
  in_flight: Map<string, number>
  models: Map<string, DeployTarget['model']>
}

/** `deployment` undefined: there is none by this id. */
export interface CacheEntry {
  id: string
  deployment: Deployment | undefined
  read_at_ms: number
}

interface Change {
  happened: Promise<void>
  announce(): void
}

const memories = new WeakMap<Records, DeploymentMemory>()

/** One memory per store: two compositions in one process do not share it. */
export const memoryOf = (app: Pick<App, 'records'>): DeploymentMemory => {
  const known = memories.get(app.records)
  if (known !== undefined) return known
  const made: DeploymentMemory = {
    entries: new Map(),
    organizations: new Map(),
    reads: new Map(),
    generations: new Map(),
    writes: new Map(),
    changes: new Map(),
    drives: new Map(),
    wakes: new Map(),
    turns: new Map(),
    in_flight: new Map(),
    models: new Map(),
  }
  memories.set(app.records, made)
  return made
}

/** Resolves at the next change of the deployment that this process makes or sees. */
export const nextChange = (memory: DeploymentMemory, id: string): Promise<void> => {
  const known = memory.changes.get(id)
  if (known !== undefined) return known.happened
  const { promise: happened, resolve: announce } = Promise.withResolvers<void>()
  memory.changes.set(id, { happened, announce })
  return happened
}

/** Forgets what is cached about the deployment and tells everybody who waits. */
export const forget = (memory: DeploymentMemory, id: string): void => {
  memory.entries.delete(id)
  memory.generations.set(id, (memory.generations.get(id) ?? 0) + 1)
  memory.changes.get(id)?.announce()
  memory.changes.delete(id)
}

/** Runs a write during which nobody here uses the cached deployment, and forgets it afterwards, whether or not the write held. */
export const whileWriting = async <Answer>(
  memory: DeploymentMemory,
  id: string,
  write: () => Promise<Answer>,
): Promise<Answer> => {
  const running = write()
  const writes = memory.writes.get(id) ?? new Set()
  memory.writes.set(id, writes.add(running))
  try {
    return await running
  } finally {
    writes.delete(running)
    if (writes.size === 0) memory.writes.delete(id)
    forget(memory, id)
  }
}

/** Runs the deployer's verbs on one deployment one after another within this process. */
export const inTurn = async <Answer>(memory: DeploymentMemory, id: string, act: () => Promise<Answer>): Promise<Answer> => {
  const before = memory.turns.get(id) ?? Promise.resolve()
  const mine = before.then(act, act)
  memory.turns.set(id, mine)
  try {
    return await mine
  } finally {
    if (memory.turns.get(id) === mine) memory.turns.delete(id)
  }
}

/** Keeps a map from growing without bound: drops its oldest entries. */
export const trim = (map: Map<string, unknown>, most: number): void => {
  for (const key of map.keys()) {
    if (map.size <= most) return
    map.delete(key)
  }
}

const MOST_ORGANIZATIONS = 100_000

/** Only for a deployment that was read: a caller's claim about the organisation is not to be trusted. */
export const rememberOrganization = (memory: DeploymentMemory, { id, organization_id }: Deployment): void => {
  memory.organizations.set(id, organization_id)
  trim(memory.organizations, MOST_ORGANIZATIONS)
}
