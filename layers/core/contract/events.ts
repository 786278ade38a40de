import * as z from 'zod'
import { JsonObject } from '../domain/json.ts'

/** Kinds of documents whose changes are told; on AWS a change of any other does not even start the function that publishes. */
export const told_kinds = ['model', 'optimization', 'deployment'] as const

/** What the platform tells the world about; derived from record changes by `functions/entry/stream-record.ts`, never written twice. */
export const PlatformEvent = z.object({
  id: z.string(),
  type: z.enum([
    'model.created',
    'model.deleted',
    'model.deletion_announced',
    'optimization.progressed',
    'optimization.completed',
    'optimization.failed',
    'deployment.created',
    'deployment.activated',
    'deployment.hibernated',
    'deployment.updated',
    'deployment.failed',
    'deployment.deleted',
  ]),
  organization_id: z.string(),
  timestamp: z.iso.datetime(),
  data: JsonObject,
})
export type PlatformEvent = z.infer<typeof PlatformEvent>
