import { isPlatformError } from '../contract/errors.ts'
import { AwakeSpan, awakeWithin, openSpan } from '../domain/awake-span.ts'
import { nanoUsdFrom } from '../domain/money.ts'
import type { PriceBook } from '../domain/price.ts'
import { type StandingPrice, standingCost } from '../domain/standing-cost.ts'
import type { StandingRow } from '../domain/standing-row.ts'
import { bucketStart, grain_ms } from '../domain/usage.ts'
import type { App } from '../ports/app.ts'
import type { Operation } from '../ports/records.ts'
import { ACTIVE, IN_FLIGHT, parseDeployment, readAnyDeployment } from './deployment-records.ts'
import { everyStored } from './every-stored.ts'
import { awakeSpans, lastStandingHour, putStandingRow, readAwakeSpans, settleAwakeSpan } from './standing-rows.ts'
import { isoOf, readAll, usedDeploymentKey } from './usage-keys.ts'

type Needs = Pick<App, 'records' | 'log' | 'now' | 'prices'>

/** How long after its end an hour waits for a change of state on its way. */
const grace_ms = 2 * grain_ms.minute
/** Older rows would expire at once. */
const longestCatchUp_ms = 399 * grain_ms.day
const perWrite = 20

interface Awake {
  organization_id: string
  id: string
}

/**
 * Writes what is charged by the hour: one row per deployment and finished hour, for the minutes in which it was awake.
 * 1. Finds the deployments that are awake or fell asleep since the last run.
 * 2. Goes on at the hour after the newest row, however long ago that is: an outage is caught up.
 * 3. Writes the rows in order, each only if absent, so that a repeat or a second run at the same time changes nothing.
 * One deployment's fault does not stop the others.
 */
export const accrueStandingCosts = async (app: Needs): Promise<{ deployments: number; hours: number; failed: number }> => {
  const summary = { deployments: 0, hours: 0, failed: 0 }
  for (const awake of (await awakeDeployments(app)).values()) {
    try {
      summary.hours += await accrue(app, awake)
      summary.deployments++
    } catch (error) {
      // Another run writes the same rows at this moment; what is left is for the next one.
      if (isPlatformError(error, 'version_conflict')) continue
      summary.failed++
      app.log.error('accrual_failed', { deployment_id: awake.id, reason: String(error) })
    }
  }
  return summary
}

const awakeDeployments = async ({ records, now }: Needs): Promise<Map<string, Awake>> => {
  const found = new Map<string, Awake>()
  for (const pk of [ACTIVE, IN_FLIGHT])
    for await (const stored of everyStored(records, { index: 'worklist', pk })) {
      const deployment = parseDeployment(stored)
      if (openSpan(deployment, isoOf(now().getTime()))) found.set(deployment.id, deployment)
    }
  for (const { organization_id, deployment_id } of await readAll(records, { index: 'worklist', pk: awakeSpans }, AwakeSpan))
    found.set(deployment_id, { organization_id, id: deployment_id })
  return found
}

const accrue = async ({ records, now, prices }: Needs, { organization_id, id }: Awake): Promise<number> => {
  const now_ms = now().getTime()
  const until_ms = bucketStart(now_ms - grace_ms, 'hour')
  const deployment = await readAnyDeployment({ records }, { organization_id, id })
  const ended = await readAwakeSpans(records, id)
  const open = deployment && openSpan(deployment, isoOf(now_ms))
  const spans = [...ended, ...(open && !ended.some((span) => span.from === open.from) ? [open] : [])].map((span) => ({
    span,
    price: standingCost({ deployment_type: span.deployment_type, deployer_state: span.footprint }, prices),
  }))
  const last_ms = await lastStandingHour(records, id)
  const from_ms = last_ms === undefined ? now_ms - longestCatchUp_ms : last_ms + grain_ms.hour
  const rows = hourlyRows(spans, { from_ms, to_ms: until_ms }, prices)
  const operations: Operation[] = [
    ...rows.slice(0, 1).map(rememberUse),
    ...rows.map(putStandingRow),
    ...ended.filter((span) => Date.parse(span.to) <= until_ms).map((span) => settleAwakeSpan(span, now_ms)),
  ]
  for (let at = 0; at < operations.length; at += perWrite) await records.write(operations.slice(at, at + perWrite))
  return rows.length
}

/** Deployments leave, their cost does not: also of one that nobody ever called. */
const rememberUse = ({ organization_id, deployment_id, deployment_type }: StandingRow): Operation => ({
  put: { ...usedDeploymentKey(organization_id, deployment_id), body: { deployment_id, deployment_type } },
  expect: 'any',
})

interface PricedSpan {
  span: AwakeSpan
  price: StandingPrice
}

const costsNothing = ({ price }: PricedSpan): boolean => !('unpriced' in price) && price.usd_per_hour === 0

/** A row for every whole hour of the window in which a span that costs something was awake. */
const hourlyRows = (
  spans: readonly PricedSpan[],
  window: { from_ms: number; to_ms: number },
  prices: PriceBook,
): StandingRow[] => {
  const charged = spans.filter((priced) => !costsNothing(priced))
  if (charged.length === 0) return []
  const first_ms = Math.min(...charged.map(({ span }) => bucketStart(Date.parse(span.from), 'hour')))
  const rows: StandingRow[] = []
  for (let hour_ms = bucketStart(Math.max(first_ms, window.from_ms), 'hour'); hour_ms < window.to_ms; hour_ms += grain_ms.hour) {
    const hour = { from_ms: hour_ms, to_ms: hour_ms + grain_ms.hour }
    const parts = charged.map((priced) => ({ ...priced, ms: awakeWithin(priced.span, hour) })).filter(({ ms }) => ms > 0)
    const row = parts[0] && rowOf(parts[0].span, isoOf(hour_ms), parts, prices)
    if (row) rows.push(row)
  }
  return rows
}

const rowOf = (
  { organization_id, deployment_id, deployment_type }: AwakeSpan,
  hour: string,
  parts: readonly (PricedSpan & { ms: number })[],
  prices: PriceBook,
): StandingRow => ({
  ...{ organization_id, deployment_id, deployment_type, hour },
  awake_ms: parts.reduce((sum, { ms }) => sum + ms, 0),
  cost: parts.reduce(
    (sum, { price, ms }) => sum + ('unpriced' in price ? 0n : nanoUsdFrom((price.usd_per_hour * ms) / grain_ms.hour)),
    0n,
  ),
  bases: [...new Set(parts.flatMap(({ price }) => ('unpriced' in price ? [] : [price.basis])))],
  price_version: prices.version,
  unpriced: [...new Set(parts.flatMap(({ price }) => ('unpriced' in price ? [price.unpriced] : [])))],
})
