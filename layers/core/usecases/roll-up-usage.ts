import * as z from 'zod'
import { bucketStart, type Grain, grain_ms, mergeUsage, UsageRow } from '../domain/usage.ts'
import type { App } from '../ports/app.ts'
import type { Expect, Operation, Records, Stored } from '../ports/records.ts'
import { retryConflicts } from './retry-conflicts.ts'
import {
  expiryOf,
  isoOf,
  OpenHour,
  openHourKey,
  openHours,
  readAll,
  readRows,
  rollUpKey,
  UsageMonth,
  usageMonthKey,
  usedDeploymentKey,
} from './usage-keys.ts'

/** How long after its end an hour is left open for flushes on their way. */
const grace_ms = 2 * grain_ms.minute

type Parts = Pick<App, 'records' | 'log' | 'now'>

/**
 * Merges the minute rows of every finished hour into its hour row, and the hours of its day into the day row.
 * 1. Takes the marks of hours that ended, oldest first.
 * 2. Computes hour and day anew from their parts: doing it twice, or again after a late row, gives the same.
 * 3. Writes hour, day, the organisation's month and the removal of the mark in one transaction, on the versions read.
 * An hour that fails stays marked, is still read by the minute, and is tried again at the next run.
 */
export const rollUpUsage = async ({ records, log, now }: Parts): Promise<{ hours: number; failed: number }> => {
  const now_ms = now().getTime()
  const summary = { hours: 0, failed: 0 }
  for (const open of await finishedHours(records, now_ms)) {
    try {
      await retryConflicts(() => rollUpHour(records, open, now_ms))
      summary.hours++
    } catch (error) {
      summary.failed++
      log.error('roll_up_failed', { deployment_id: open.deployment_id, hour: open.hour, reason: String(error) })
    }
  }
  return summary
}

const finishedHours = (records: Records, now_ms: number): Promise<OpenHour[]> =>
  readAll(records, { index: 'worklist', pk: openHours, to: isoOf(now_ms - grain_ms.hour - grace_ms) }, OpenHour)

const rollUpHour = async (
  records: Records,
  { deployment_id, organization_id, hour }: OpenHour,
  now_ms: number,
): Promise<void> => {
  const hour_ms = Date.parse(hour)
  const day_ms = bucketStart(hour_ms, 'day')
  const mark = await records.get(openHourKey(deployment_id, hour_ms))
  if (!mark) return
  const minutes = await readRows(records, deployment_id, 'minute', hour_ms, hour_ms + grain_ms.hour)
  const [storedHour, storedDay, storedMonth] = await Promise.all([
    records.get(rollUpKey(deployment_id, 'hour', hour_ms)),
    records.get(rollUpKey(deployment_id, 'day', day_ms)),
    records.get(usageMonthKey(organization_id, hour_ms)),
  ])
  const before = storedHour && UsageRow.parse(storedHour.body)
  const after = mergeUsage(minutes, { grain: 'hour', start: hour })
  const removeMark: Operation = { remove: openHourKey(deployment_id, hour_ms), expect: { version: mark.version } }
  // A row more than a week late finds the hour's other minutes expired: the hour row knows more then, and stays.
  if (!after || after.requests < (before?.requests ?? 0)) {
    await records.write([removeMark])
    return
  }
  const otherHours = (await readRows(records, deployment_id, 'hour', day_ms, day_ms + grain_ms.day)).filter(
    (row) => row.start !== hour,
  )
  const day = mergeUsage([...otherHours, after], { grain: 'day', start: isoOf(day_ms) })
  const month = storedMonth ? UsageMonth.parse(storedMonth.body) : { billed_mb_ms: 0, bytes_out: 0 }
  month.billed_mb_ms += after.billed_mb_ms - (before?.billed_mb_ms ?? 0)
  month.bytes_out += after.bytes_out - (before?.bytes_out ?? 0)
  await records.write([
    putRow(after, 'hour', storedHour, now_ms),
    ...(day ? [putRow(day, 'day', storedDay, now_ms)] : []),
    { put: { ...usageMonthKey(organization_id, hour_ms), body: month }, expect: unchanged(storedMonth) },
    {
      put: {
        ...usedDeploymentKey(organization_id, deployment_id),
        body: { deployment_id, deployment_type: after.deployment_type },
      },
      expect: 'any',
    },
    removeMark,
  ])
}

const unchanged = (stored: Stored | undefined): Expect => (stored ? { version: stored.version } : 'absent')

const putRow = (row: UsageRow, grain: Exclude<Grain, 'minute'>, stored: Stored | undefined, now_ms: number): Operation => {
  const start_ms = Date.parse(row.start)
  return {
    put: {
      ...rollUpKey(row.deployment_id, grain, start_ms),
      body: z.encode(UsageRow, row),
      ...expiryOf(grain, start_ms, now_ms),
    },
    expect: unchanged(stored),
  }
}
