import { isPlatformError } from '../contract/errors.ts'
import { type MonthToDate, priceUsage } from '../domain/cost.ts'
import type { PriceBook } from '../domain/price.ts'
import type { UsageRow } from '../domain/usage.ts'
import { closeBuffer, type UsageBuffer } from '../domain/usage-buffer.ts'
import type { Log } from '../ports/log.ts'
import type { Records } from '../ports/records.ts'
import { UsageMonth, usageMonthKey } from './usage-keys.ts'
import { writeUsageRows } from './write-usage-rows.ts'

export interface MeterParts {
  records: Records
  prices: PriceBook
  now(): Date
  log: Log
}

const firstRetry_ms = 1_000
const longestRetry_ms = 30_000
const rowsPerWrite = 12

/** A closed buffer as a row, costed at the price list of now. */
const pricedRow = (buffer: UsageBuffer, month: MonthToDate, prices: PriceBook, source: string): UsageRow => {
  const usage = closeBuffer(buffer)
  const { cost, basis, unpriced } = priceUsage(usage, month, prices)
  const why = unpriced ? { unpriced: [unpriced], unpriced_requests: usage.requests } : { unpriced: [], unpriced_requests: 0 }
  return { ...usage, source, cost, cost_bases: [basis], price_versions: [prices.version], ...why }
}

/** Usage of the month so far, for price tiers: from the roll-up the first time, counted on from there by this process. */
const monthReader = (records: Records) => {
  const months = new Map<string, MonthToDate>()
  return async (buffer: UsageBuffer): Promise<MonthToDate> => {
    const key = usageMonthKey(buffer.organization_id, buffer.minute_ms)
    const name = `${key.pk}#${key.sk}`
    const stored = months.has(name) ? undefined : await records.get(key)
    const month = months.get(name) ?? (stored ? UsageMonth.parse(stored.body) : { billed_mb_ms: 0, bytes_out: 0 })
    months.set(name, month)
    return month
  }
}

/**
 * Turns closed buffers into rows and writes them, one write after another. A row gets its id and price once; what could not be
 * written stays and is written again, waiting longer each time (2 to 30 s), until it works.
 */
export const usageWriter = ({ records, prices, now, log }: MeterParts) => {
  const monthToDate = monthReader(records)
  const markedHours = new Map<string, number>()
  const process_id = crypto.randomUUID()
  const closed: UsageBuffer[] = []
  let rows: UsageRow[] = []
  let flushes = 0
  let failures = 0
  let retry_at_ms = 0
  let writing: Promise<void> = Promise.resolve()

  const writeAll = async () => {
    await prices.load?.()
    for (let buffer = closed[0]; buffer; buffer = closed[0]) {
      const month = await monthToDate(buffer)
      const row = pricedRow(buffer, month, prices, `${process_id}-${flushes++}`)
      month.billed_mb_ms += row.billed_mb_ms
      month.bytes_out += row.bytes_out
      rows.push(row)
      closed.shift()
    }
    while (rows.length > 0) {
      const batch = rows.slice(0, rowsPerWrite)
      await writeUsageRows(records, batch, markedHours, now().getTime())
      rows = rows.slice(batch.length)
    }
    failures = 0
  }

  const failed = (error: unknown) => {
    failures++
    retry_at_ms = now().getTime() + Math.min(longestRetry_ms, firstRetry_ms * 2 ** Math.min(failures, 10))
    const code = isPlatformError(error) ? error.code : 'internal'
    log.warn('usage_write_failed', { rows: rows.length + closed.length, failures, code, reason: String(error) })
  }

  return {
    add: (buffer: UsageBuffer): void => void closed.push(buffer),
    /** Buffers and rows that are not written yet. */
    waiting: (): number => closed.length + rows.length,
    /** Whether the last failure is long enough ago. */
    mayWrite: (): boolean => failures === 0 || now().getTime() >= retry_at_ms,
    /** Writes everything that waits; resolves when done or failed. */
    write: (): Promise<void> => {
      writing = writing.then(() => writeAll().catch(failed))
      return writing
    },
  }
}
