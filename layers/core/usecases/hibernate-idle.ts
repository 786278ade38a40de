import type { Deployment } from '../domain/deployment.ts'
import { footprintOf } from '../domain/footprint.ts'
import { decideIdleness, type IdlenessDecision } from '../domain/idleness.ts'
import { type StandingPrice, standingCost } from '../domain/standing-cost.ts'
import type { App } from '../ports/app.ts'
import type { Operation } from '../ports/records.ts'
import { memoryOf } from './deployment-memory.ts'
import { ACTIVE, parseDeployment } from './deployment-records.ts'
import { carriedOut, type DriveApp } from './drive-deployment.ts'
import { everyStored } from './every-stored.ts'
import { lastRequestFromRows } from './read-usage.ts'
import { organizationKey } from './record-keys.ts'
import { beginTransition } from './transition-deployment.ts'

type Needs = DriveApp & Pick<App, 'meter' | 'prices'>

/** The next run must not wait for a deployment that drains its requests. */
const MOST_WAIT_MS = 1000
const KEEP_DECISIONS_S = 400 * 86_400
/** What keeping memory warm costs; sleeping saves it. */
const WARM_SKU = 'aws/lambda/arm64/provisioned-concurrency-gb-second'

/**
 * Puts idle deployments to sleep. Primary course: of every active deployment the last request is compared with its time-out; where the
 * decision says hibernate, the transition and the record of the decision (reason, idle time, savings and their basis) are one write,
 * made only if the deployment is still as idle as it was. One deployment's fault does not stop the others.
 */
export const hibernateIdle = async (app: Needs): Promise<{ active: number; hibernated: number; failed: number }> => {
  const summary = { active: 0, hibernated: 0, failed: 0 }
  const drives: Promise<unknown>[] = []
  for await (const stored of everyStored(app.records, { index: 'worklist', pk: ACTIVE })) {
    summary.active += 1
    const seen = parseDeployment(stored)
    if (decide(app, seen).action === 'keep') continue
    try {
      const begun = await putToSleep(app, seen, await lastRequestFromRows(app.records, seen.id))
      if (begun === undefined) continue
      summary.hibernated += 1
      drives.push(carriedOut(app, begun))
    } catch (error) {
      summary.failed += 1
      app.log.warn('not_hibernated', { deployment_id: seen.id, error: String(error) })
    }
  }
  if (drives.length > 0)
    await Promise.race([Promise.allSettled(drives), new Promise((resolve) => setTimeout(resolve, MOST_WAIT_MS))])
  return summary
}

/** `on_record`: its last request by the usage rows, which other processes write too. */
const putToSleep = async (app: Needs, seen: Deployment, on_record: Date | undefined): Promise<Deployment | undefined> => {
  const decided = (current: Deployment) => decide(app, current, on_record)
  if (decided(seen).action === 'keep') return undefined
  const { deployment, changed } = await beginTransition(app, seen, 'hibernate', {
    reason: decided(seen).reason,
    allowed: (current) => decided(current).action === 'hibernate',
    operations: (current) => [decisionRecord(app, current, decided(current))],
  })
  return changed ? deployment : undefined
}

/** A request that is running right now counts as one that just ended. */
const decide = (app: Needs, deployment: Deployment, on_record?: Date): IdlenessDecision => {
  const is_busy = (memoryOf(app).in_flight.get(deployment.id) ?? 0) > 0
  const in_memory = app.meter.lastRequestAt(deployment.id)
  const last = is_busy ? app.now() : later(in_memory, on_record)
  const standing = standingOf(app, deployment)
  const usd_per_hour = standing && ('unpriced' in standing ? null : standing.usd_per_hour)
  return decideIdleness(deployment, last, app.now(), app.prices.tiers(WARM_SKU)[0]?.usd_per_unit ?? null, usd_per_hour)
}

/** What it is charged by the hour, where its deployer says what it provisioned. */
const standingOf = (app: Needs, deployment: Deployment): StandingPrice | undefined =>
  footprintOf(deployment.deployer_state) && standingCost(deployment, app.prices)

const basisOf = (app: Needs, deployment: Deployment, saves_usd_per_hour: number | null): string => {
  const standing = standingOf(app, deployment)
  if (standing && 'unpriced' in standing) return `unpriced: ${standing.unpriced}`
  if (standing) return `${standing.basis}, price list ${app.prices.version}`
  return saves_usd_per_hour === null
    ? `unpriced: no price for ${WARM_SKU}`
    : `keeping its memory warm on AWS Lambda arm64 provisioned concurrency, price list ${app.prices.version}`
}

const later = (one: Date | undefined, other: Date | undefined): Date | undefined =>
  one !== undefined && other !== undefined ? (one > other ? one : other) : (one ?? other)

const decisionRecord = (app: Needs, deployment: Deployment, decision: IdlenessDecision): Operation => {
  const decided_at = app.now().toISOString()
  return {
    put: {
      ...organizationKey(deployment.organization_id, 'hibernation', `${deployment.id}#${decided_at}`),
      body: {
        deployment_id: deployment.id,
        organization_id: deployment.organization_id,
        decided_at,
        ...decision,
        idle_timeout_s: deployment.cost_optimization_policy.hibernation_idle_timeout,
        basis: basisOf(app, deployment, decision.saves_usd_per_hour),
      },
      expires_at: Math.ceil(app.now().getTime() / 1000) + KEEP_DECISIONS_S,
    },
    expect: 'any',
  }
}
