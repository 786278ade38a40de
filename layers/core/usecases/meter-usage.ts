import type { InferenceSample } from '../domain/usage.ts'
import { addSample, openBuffer, takes, type UsageBuffer } from '../domain/usage-buffer.ts'
import type { Meter } from '../ports/app.ts'
import { ACTIVE } from './deployment-records.ts'
import { everyStored } from './every-stored.ts'
import { lastRequestFromRows } from './read-usage.ts'
import { type MeterParts, usageWriter } from './usage-writer.ts'

/** A row goes out after 60 requests, but not more often than every 5 s (10,000 requests a second would be 166 writes), or after 60 s. */
const flushRequests = 60
const flushApart_ms = 5_000
const flushAge_ms = 60_000
const tick_ms = 1_000

const isDue = (buffer: UsageBuffer, now_ms: number): boolean => {
  const age_ms = now_ms - buffer.opened_ms
  const full = buffer.requests >= flushRequests && age_ms >= flushApart_ms
  return full || age_ms >= flushAge_ms || now_ms >= buffer.minute_ms + 60_000
}

export interface UsageMeter extends Meter {
  /** Reads when each active deployment last had a request, so that a restart does not make busy ones look idle. */
  recover(): Promise<void>
}

/**
 * Counts inferences: `record` adds to a buffer in memory (below a microsecond); once a second buffers that are due become priced,
 * immutable usage rows. Rows that could not be written are kept and written again, with the same id, until it works: repeats are
 * harmless, and nothing is lost while the process lives. What a crash can lose is what was not yet due.
 */
export const usageMeter = (parts: MeterParts): UsageMeter => {
  const { records, now } = parts
  const writer = usageWriter(parts)
  const buffers = new Map<string, UsageBuffer>()
  const lastRequests = new Map<string, number>()
  let timer: NodeJS.Timeout | undefined

  const close = (due: (buffer: UsageBuffer) => boolean) => {
    for (const [deployment_id, buffer] of buffers) {
      if (!due(buffer)) continue
      buffers.delete(deployment_id)
      writer.add(buffer)
    }
  }

  const tick = () => {
    const now_ms = now().getTime()
    close((buffer) => isDue(buffer, now_ms))
    if (writer.waiting() > 0 && writer.mayWrite()) writer.write()
    if (buffers.size + writer.waiting() > 0) return
    clearInterval(timer)
    timer = undefined
  }

  const startBuffer = (sample: InferenceSample, full: UsageBuffer | undefined): UsageBuffer => {
    if (full) writer.add(full)
    timer ??= setInterval(tick, tick_ms).unref()
    const buffer = openBuffer(sample)
    buffers.set(sample.deployment_id, buffer)
    return buffer
  }

  return {
    record: (sample) => {
      const open = buffers.get(sample.deployment_id)
      addSample(open && takes(open, sample) ? open : startBuffer(sample, open), sample)
      lastRequests.set(sample.deployment_id, sample.at_ms)
    },
    lastRequestAt: (deployment_id) => {
      const at_ms = lastRequests.get(deployment_id)
      return at_ms === undefined ? undefined : new Date(at_ms)
    },
    flush: () => {
      close(() => true)
      return writer.write()
    },
    recover: async () => {
      for await (const { body } of everyStored(records, { index: 'worklist', pk: ACTIVE })) {
        const deployment_id = String(body.id)
        const last = await lastRequestFromRows(records, deployment_id)
        if (last && !lastRequests.has(deployment_id)) lastRequests.set(deployment_id, last.getTime())
      }
    },
  }
}
