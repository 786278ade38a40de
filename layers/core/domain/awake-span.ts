import * as z from 'zod'
import type { Span } from './cost-analysis.ts'
import type { Deployment } from './deployment.ts'
import { Footprint, footprintOf } from './footprint.ts'

/** A time in which a deployment kept what is charged by the hour, with what that was. ISO 8601. */
export const AwakeSpan = z.object({
  organization_id: z.string(),
  deployment_id: z.string(),
  deployment_type: z.string(),
  from: z.string(),
  to: z.string(),
  footprint: Footprint,
})
export type AwakeSpan = z.infer<typeof AwakeSpan>

/** From active until nothing is left; an update of an active one keeps the old revision up. */
const isAwake = ({ status, transition }: Deployment): boolean =>
  status === 'active' || status === 'hibernating' || (status === 'updating' && transition?.from === 'active')

const footprintWhile = (deployment: Deployment): Footprint | undefined =>
  isAwake(deployment) ? footprintOf(deployment.deployer_state) : undefined

/** The span that is still open, up to `to`; undefined while it sleeps or keeps nothing that has a price. */
export const openSpan = (deployment: Deployment, to: string): AwakeSpan | undefined => {
  const footprint = footprintWhile(deployment)
  if (footprint === undefined) return undefined
  const { organization_id, id, deployment_type, awake_since, status_since } = deployment
  return { organization_id, deployment_id: id, deployment_type, from: awake_since ?? status_since, to, footprint }
}

/**
 * What a change of state means for standing costs: `next` with the start of its span, and the span that ended with the change. A change of
 * footprint ends one span and begins another. Deployments without a footprint stay as they are.
 */
export const followAwake = (before: Deployment, next: Deployment, now: Date): { next: Deployment; ended?: AwakeSpan } => {
  const was = footprintWhile(before)
  const is = footprintWhile(next)
  if (was === is) return { next }
  const at = now.toISOString()
  const ended = openSpan(before, at)
  const { awake_since: _, ...asleep } = next
  return { next: is === undefined ? asleep : { ...asleep, awake_since: at }, ...(ended && { ended }) }
}

/** Milliseconds of an hour that the spans cover; they do not overlap. */
export const awakeWithin = (span: AwakeSpan, hour: Span): number =>
  Math.max(0, Math.min(Date.parse(span.to), hour.to_ms) - Math.max(Date.parse(span.from), hour.from_ms))
