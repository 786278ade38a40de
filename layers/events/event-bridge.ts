import {
  type EventBridgeClient,
  PutEventsCommand,
  type PutEventsRequestEntry,
  type PutEventsResultEntry,
} from '@aws-sdk/client-eventbridge'
import { awsFailure } from '../aws/failure.ts'
import { PlatformError } from '../core/contract/errors.ts'
import type { PlatformEvent } from '../core/contract/events.ts'
import type { Events } from '../core/ports/events.ts'

export interface EventBridgeParts {
  /** Made at the first call. */
  client(): EventBridgeClient
  bus: string
  /** Longest first wait before entries that failed are sent again, milliseconds; doubles. */
  retry_ms?: number
}

export interface EventBridgeEvents extends Events {
  /** Hands an event to the subscriber of that name in this process, as its queue told. Fails with `not_found` for a name nobody took. */
  deliver(subscriber: string, event: PlatformEvent): Promise<void>
}

/** Quotas of PutEvents, which count the whole request. */
const most_entries = 10
const most_bytes = 262_144
/** An entry's size is that of its texts, and this much for its time. */
const time_bytes = 14
const source = 'aideploy'
const tries = 5

/**
 * Events on an EventBridge bus, whose rules copy each to a queue per subscriber. Delivered at least once and, because neither the bus nor
 * a queue promises it, in any order. `publish` resolves when the bus has all of them; when it fails some may have been taken, and a
 * repeat publishes those again with the same `event.id`. Fails with `invalid_request` for an event that is too large, and then after
 * all others were published.
 */
export const eventBridgeEvents = ({ client, bus, retry_ms = 100 }: EventBridgeParts): EventBridgeEvents => {
  let made: EventBridgeClient | undefined
  const subscribers = new Map<string, (event: PlatformEvent) => Promise<void>>()
  const put = async (Entries: Sized[]): Promise<PutEventsResultEntry[]> => {
    made ??= client()
    const answer = await made
      .send(new PutEventsCommand({ Entries: Entries.map(({ entry }) => entry) }))
      .catch((error: unknown) => {
        throw awsFailure(error, 'Publishing events')
      })
    return answer.Entries ?? []
  }
  /** Sends what failed again, and only that. */
  const send = async (batch: Sized[]): Promise<void> => {
    let waiting = batch
    for (let attempt = 0; ; attempt += 1) {
      const results = await put(waiting)
      const failed = results.filter(({ ErrorCode }) => ErrorCode !== undefined)
      if (failed.length === 0) return
      if (attempt + 1 === tries || !failed.every(isPassing)) throw refused(failed, batch.length)
      waiting = waiting.filter((_entry, at) => results[at]?.ErrorCode !== undefined)
      await new Promise((resolve) => setTimeout(resolve, Math.random() * retry_ms * 2 ** attempt))
    }
  }
  return {
    publish: async (events) => {
      const sized = events.map((event) => entryOf(event, bus))
      for (const batch of batches(sized.filter(({ size_bytes }) => size_bytes <= most_bytes))) await send(batch)
      const [large] = sized.filter(({ size_bytes }) => size_bytes > most_bytes)
      if (large)
        throw new PlatformError(
          'invalid_request',
          `Event ${large.event.id} (${large.event.type}) has ${large.size_bytes} bytes; EventBridge takes ${most_bytes}`,
        )
    },
    subscribe: (name, handle) => {
      if (subscribers.has(name)) throw new PlatformError('conflict', `There is a subscriber of the name ${name} already`)
      subscribers.set(name, handle)
    },
    deliver: async (name, event) => {
      const handle = subscribers.get(name)
      if (!handle) throw new PlatformError('not_found', `Nobody in this process subscribed as ${name}`)
      await handle(event)
    },
  }
}

interface Sized {
  event: PlatformEvent
  entry: PutEventsRequestEntry
  size_bytes: number
}

const entryOf = (event: PlatformEvent, bus: string): Sized => {
  const Detail = JSON.stringify(event)
  return {
    event,
    entry: { Source: source, DetailType: event.type, Detail, EventBusName: bus, Time: new Date(event.timestamp) },
    size_bytes: time_bytes + Buffer.byteLength(source) + Buffer.byteLength(event.type) + Buffer.byteLength(Detail),
  }
}

/** In order, as many at a time as fit. */
const batches = (entries: readonly Sized[]): Sized[][] => {
  const made: Sized[][] = []
  let size_bytes = 0
  for (const entry of entries) {
    const current = made.at(-1)
    if (!current || current.length === most_entries || size_bytes + entry.size_bytes > most_bytes) {
      made.push([entry])
      size_bytes = 0
    } else current.push(entry)
    size_bytes += entry.size_bytes
  }
  return made
}

const isPassing = ({ ErrorCode = '' }: PutEventsResultEntry): boolean =>
  /Throttl|Internal|ServiceUnavailable|Timeout/i.test(ErrorCode)

const refused = (failed: readonly PutEventsResultEntry[], count: number): PlatformError => {
  const codes = [...new Set(failed.map(({ ErrorCode }) => ErrorCode))].join(', ')
  const code = failed.every(isPassing) ? 'unavailable' : 'internal'
  return new PlatformError(code, `EventBridge did not take ${failed.length} of ${count} events (${codes})`, {
    cause: failed[0]?.ErrorMessage,
  })
}
