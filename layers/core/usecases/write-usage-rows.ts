import * as z from 'zod'
import { isPlatformError } from '../contract/errors.ts'
import { bucketStart, grain_ms, UsageRow } from '../domain/usage.ts'
import type { Operation, Records } from '../ports/records.ts'
import { expiryOf, isoOf, type OpenHour, openHourKey, openHours, usagePartition } from './usage-keys.ts'

const rowKey = (row: UsageRow) => ({ pk: usagePartition(row.deployment_id), sk: `minute#${row.start}#${row.source}` })

const putRow = (row: UsageRow, now_ms: number): Operation => ({
  put: { ...rowKey(row), body: z.encode(UsageRow, row), ...expiryOf('minute', Date.parse(row.start), now_ms) },
  expect: 'absent',
})

const markOpen = (row: UsageRow, hour_ms: number): Operation => {
  const { organization_id, deployment_id } = row
  const hour = isoOf(hour_ms)
  const body: OpenHour = { organization_id, deployment_id, hour }
  return {
    put: { ...openHourKey(deployment_id, hour_ms), body, worklist: { pk: openHours, sk: `${hour}#${deployment_id}` } },
    expect: 'any',
  }
}

/**
 * Writes minute rows, at most 12, each with the mark that its hour is open. A mark that this process wrote while the hour lasts
 * needs no repeat: the roll-up touches an hour only after its end. A row that is already there was written by an earlier try.
 * `markedHours` (deployment → hour, milliseconds) is read and updated.
 */
export const writeUsageRows = async (
  records: Records,
  rows: readonly UsageRow[],
  markedHours: Map<string, number>,
  now_ms: number,
): Promise<void> => {
  const marks = new Map<string, Operation>()
  for (const row of rows) {
    const hour_ms = bucketStart(Date.parse(row.start), 'hour')
    const lasts = now_ms < hour_ms + grain_ms.hour
    if (!lasts || markedHours.get(row.deployment_id) !== hour_ms)
      marks.set(`${row.deployment_id}#${hour_ms}`, markOpen(row, hour_ms))
  }
  try {
    await records.write([...rows.map((row) => putRow(row, now_ms)), ...marks.values()])
  } catch (error) {
    if (!isPlatformError(error, 'version_conflict')) throw error
    await writeMissing(records, rows, marks, now_ms)
  }
  for (const row of rows) markedHours.set(row.deployment_id, bucketStart(Date.parse(row.start), 'hour'))
}

const writeMissing = async (records: Records, rows: readonly UsageRow[], marks: Map<string, Operation>, now_ms: number) => {
  const missing: UsageRow[] = []
  for (const row of rows) if (!(await records.get(rowKey(row)))) missing.push(row)
  const operations = [...missing.map((row) => putRow(row, now_ms)), ...marks.values()]
  if (operations.length > 0) await records.write(operations)
}
