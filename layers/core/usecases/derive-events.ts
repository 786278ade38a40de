import * as z from 'zod'
import { PlatformEvent, told_kinds } from '../contract/events.ts'
import { DeploymentStatus } from '../domain/deployment.ts'
import type { JsonObject } from '../domain/json.ts'
import { Attempt, isTried } from '../domain/optimization.ts'
import type { Log } from '../ports/log.ts'
import type { RecordChange } from '../ports/record-changes.ts'
import type { Stored } from '../ports/records.ts'

type Type = PlatformEvent['type']
interface Happened {
  type: Type
  data: JsonObject
}

/** What subscribers are told, by kind; a document may hold more. Internal members never leave. */
const shown = {
  model: z.object({
    id: z.string(),
    name: z.string(),
    framework: z.string(),
    version: z.string(),
    size_bytes: z.number(),
    sha256: z.string(),
  }),
  optimization: z.object({
    id: z.string(),
    original_model_id: z.string(),
    optimization_method: z.string(),
    status: z.string(),
    size_reduction_percentage: z.number().nullable(),
    latency_reduction_percentage: z.number().nullable(),
    accuracy_change_percentage: z.number().nullable(),
    target_met: z.boolean().nullable(),
  }),
  deployment: z.object({
    id: z.string(),
    name: z.string(),
    deployment_type: z.string(),
    model_id: z.string(),
    status: DeploymentStatus,
    status_reason: z.string().nullable(),
    revision: z.number(),
    endpoint: z.string().nullable(),
  }),
}
type Deployed = z.infer<typeof shown.deployment>

/**
 * What happened, told from one change of one document: `model#`, `optimization#` and `deployment#` under `org#…`, nothing else.
 * Pure: the same change gives the same events with the same ids. Fails with a ZodError on a document that is none of ours.
 */
export const eventsFromChange = (change: RecordChange): PlatformEvent[] => {
  const organization_id = /^org#(.+)$/.exec(change.key.pk)?.[1]
  const kind = told_kinds.find((told) => change.key.sk.startsWith(`${told}#`))
  if (organization_id === undefined || kind === undefined) return []
  return happened(kind, live(change.old), live(change.new)).map(({ type, data }) =>
    PlatformEvent.parse({
      id: `evt_${change.sequence}_${type}`,
      type,
      organization_id,
      timestamp: new Date(change.at).toISOString(),
      data,
    }),
  )
}

/** The same, but a document that cannot be read is reported and skipped: it must not stop every later event. */
export const readableEvents = (change: RecordChange, log: Log | undefined): PlatformEvent[] => {
  try {
    return eventsFromChange(change)
  } catch (error) {
    log?.error('change without events', {
      pk: change.key.pk,
      sk: change.key.sk,
      sequence: change.sequence,
      detail: String(error),
    })
    return []
  }
}

/** The body of a document that callers can see: neither deleted nor still being uploaded. */
const live = (stored: Stored | undefined): JsonObject | undefined =>
  stored === undefined ||
  typeof stored.body.deleted_at === 'string' ||
  stored.body.status === 'deleted' ||
  stored.body.status === 'uploading'
    ? undefined
    : stored.body

const happened = (
  kind: (typeof told_kinds)[number],
  before: JsonObject | undefined,
  after: JsonObject | undefined,
): Happened[] => {
  if (kind === 'model')
    return [...born('model.created', 'model.deleted', shown.model, before, after), ...announced(before, after)]
  if (kind === 'optimization') return [...progressed(before, after), ...settled(before, after)]
  const ends = born('deployment.created', 'deployment.deleted', shown.deployment, before, after)
  return before && after ? moved(shown.deployment.parse(before), shown.deployment.parse(after)) : ends
}

const born = (
  created: Type,
  deleted: Type,
  schema: z.ZodType<JsonObject>,
  before: JsonObject | undefined,
  after: JsonObject | undefined,
): Happened[] => {
  if (!before && after) return [{ type: created, data: schema.parse(after) }]
  return before && !after ? [{ type: deleted, data: schema.parse(before) }] : []
}

const Announced = z.object({ storage: z.object({ deletion_announced_at: z.string(), deletes_at: z.string() }) })

/** Said once for every announcement: it may be withdrawn and made again. */
const announced = (before: JsonObject | undefined, after: JsonObject | undefined): Happened[] => {
  const now = Announced.safeParse(after).data?.storage
  const then = Announced.safeParse(before).data?.storage
  if (!after || !now || now.deletion_announced_at === then?.deletion_announced_at) return []
  return [{ type: 'model.deletion_announced', data: { ...shown.model.parse(after), deletes_at: now.deletes_at } }]
}

const Search = z.object({ attempts: z.array(Attempt).default([]), plan: z.array(z.unknown()).default([]) })

/** Once for every candidate that came to its end, with what was found; how many there can be is bounded by the turns of a search. */
const progressed = (before: JsonObject | undefined, after: JsonObject | undefined): Happened[] => {
  if (!before || !after) return []
  const [then, now] = [Search.parse(before).attempts.filter(isTried), Search.parse(after)]
  const tried = now.attempts.filter(isTried)
  if (tried.length <= then.length) return []
  const known = new Set(then.map(({ slot }) => slot))
  const attempt = tried.find(({ slot }) => !known.has(slot)) ?? tried.at(-1)
  if (!attempt) return []
  const { name, settings, verdict, reason, candidate } = attempt
  const measured = { size_bytes: candidate?.size_bytes ?? null, p50_ms: candidate?.p50_ms ?? null }
  const data = {
    ...shown.optimization.parse(after),
    attempt: { name, settings, verdict, reason, ...measured },
    tried: tried.length,
    planned: now.plan.length,
  }
  return [{ type: 'optimization.progressed', data }]
}

const settled = (before: JsonObject | undefined, after: JsonObject | undefined): Happened[] => {
  if (!after || after.status === before?.status) return []
  const data = (): JsonObject => shown.optimization.parse(after)
  if (after.status === 'completed') return [{ type: 'optimization.completed', data: data() }]
  return after.status === 'failed' ? [{ type: 'optimization.failed', data: data() }] : []
}

/** An update counts when it is in force: the deployment left `updating` in good order, or was never brought down for it. */
const moved = (before: Deployed, after: Deployed): Happened[] => {
  const data = { ...after, previous_status: before.status }
  const arrived = before.status !== after.status
  if (arrived && after.status === 'failed') return [{ type: 'deployment.failed', data }]
  if (after.status === 'updating') return []
  if (before.status === 'updating') return after.status_reason === null ? [{ type: 'deployment.updated', data }] : []
  const events: Happened[] =
    after.revision > before.revision && before.status !== 'creating' ? [{ type: 'deployment.updated', data }] : []
  if (arrived && after.status === 'active') events.push({ type: 'deployment.activated', data })
  if (arrived && after.status === 'hibernated') events.push({ type: 'deployment.hibernated', data })
  return events
}
