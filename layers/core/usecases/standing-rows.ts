import * as z from 'zod'
import { AwakeSpan } from '../domain/awake-span.ts'
import { StandingRow } from '../domain/standing-row.ts'
import type { Key, Operation, Records } from '../ports/records.ts'
import { isoOf, readAll, usagePartition } from './usage-keys.ts'

/**
 * Standing costs lie beside the usage of their deployment: `awake#<from>` is a span that ended, on the worklist until every hour of it
 * is accrued; `standing#<hour>` is what one hour cost, written once and never changed.
 */
export const awakeSpans = 'usage#awake-spans'

export const awakeSpanKey = ({ deployment_id, from }: Pick<AwakeSpan, 'deployment_id' | 'from'>): Key => ({
  pk: usagePartition(deployment_id),
  sk: `awake#${from}`,
})

/** In the same transaction as the change of state that ended it. */
export const putAwakeSpan = (span: AwakeSpan): Operation => ({
  put: { ...awakeSpanKey(span), body: span, worklist: { pk: awakeSpans, sk: `${span.to}#${span.deployment_id}` } },
  expect: 'any',
})

/** Accrued: off the worklist, kept for a day for whoever asks why. */
export const settleAwakeSpan = (span: AwakeSpan, now_ms: number): Operation => ({
  put: { ...awakeSpanKey(span), body: span, expires_at: Math.ceil(now_ms / 1000) + 86_400 },
  expect: 'any',
})

const standingKey = (deployment_id: string, hour: string): Key => ({ pk: usagePartition(deployment_id), sk: `standing#${hour}` })
const kept_days = 400

/** Fails with `version_conflict` when the hour was accrued already. */
export const putStandingRow = (row: StandingRow): Operation => ({
  put: {
    ...standingKey(row.deployment_id, row.hour),
    body: z.encode(StandingRow, row),
    expires_at: Math.ceil(Date.parse(row.hour) / 1000) + kept_days * 86_400,
  },
  expect: 'absent',
})

/** Rows of hours that start in [from_ms, to_ms), oldest first. */
export const readStandingRows = (
  records: Pick<Records, 'query'>,
  deployment_id: string,
  from_ms: number,
  to_ms: number,
): Promise<StandingRow[]> =>
  to_ms <= from_ms
    ? Promise.resolve([])
    : readAll(
        records,
        { pk: usagePartition(deployment_id), from: `standing#${isoOf(from_ms)}`, to: `standing#${isoOf(to_ms - 1)}` },
        StandingRow,
      )

/** Start of the newest hour accrued, milliseconds since the epoch; undefined before the first. */
export const lastStandingHour = async (records: Pick<Records, 'query'>, deployment_id: string): Promise<number | undefined> => {
  const range = { pk: usagePartition(deployment_id), from: 'standing#', to: 'standing#~', order: 'desc' as const, limit: 1 }
  const [newest] = (await records.query(range)).items
  return newest && Date.parse(StandingRow.parse(newest.body).hour)
}

export const readAwakeSpans = (records: Pick<Records, 'query'>, deployment_id: string): Promise<AwakeSpan[]> =>
  readAll(records, { pk: usagePartition(deployment_id), from: 'awake#', to: 'awake#~' }, AwakeSpan)
