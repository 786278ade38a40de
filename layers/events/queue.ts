import * as z from 'zod'
import { PlatformEvent } from '../core/contract/events.ts'
import { JsonObject } from '../core/domain/json.ts'
import type { Operation, Records } from '../core/ports/records.ts'

/** All events in one partition, in the order they were published; a subscriber remembers how far it has come. */
const events_pk = 'events'
const subscribers_pk = 'event-subscribers'
/** A subscriber that is away for longer misses what is older. */
const kept_s = 7 * 86_400
const parked_s = 30 * 86_400
const per_write = 25

/** Where a subscriber stands: the last event it is done with, and how the next one went so far. */
export const Progress = z.object({ position: z.string(), attempts: z.number().int(), retry_at_ms: z.number() })
export type Progress = z.infer<typeof Progress>

export interface QueuedEvent {
  position: string
  event: PlatformEvent
}

export interface EventQueue {
  append(events: PlatformEvent[]): Promise<void>
  /** Events after a position, oldest first. */
  after(position: string, limit: number): Promise<QueuedEvent[]>
  progressOf(subscriber: string): Promise<Progress>
  /** Moves the subscriber; with a parked event both in one transaction. */
  note(subscriber: string, progress: Progress, parked?: { queued: QueuedEvent; attempts: number; reason: string }): Promise<void>
  /** What was given up on, oldest first. */
  parked(subscriber: string): Promise<{ event: PlatformEvent; attempts: number; reason: string }[]>
}

const Parked = z.object({ event: PlatformEvent, attempts: z.number(), reason: z.string() })

/** The log of events as documents. Appends run one after another, so that no later event becomes visible before an earlier one. */
export const eventQueue = (records: Records, now: () => Date): EventQueue => {
  const nextPosition = positions(records, now)
  const expiry = (seconds: number): number => Math.floor(now().getTime() / 1000) + seconds
  let turn: Promise<unknown> = Promise.resolve()
  const appendNow = async (events: PlatformEvent[]): Promise<void> => {
    for (let start = 0; start < events.length; start += per_write) {
      const puts: Operation[] = []
      for (const event of events.slice(start, start + per_write))
        puts.push({
          put: { pk: events_pk, sk: await nextPosition(), body: JsonObject.parse(event), expires_at: expiry(kept_s) },
          expect: 'absent',
        })
      await records.write(puts)
    }
  }
  return {
    append: (events) => {
      const next = turn.then(() => appendNow(events))
      turn = next.catch(() => undefined)
      return next
    },
    after: async (position, limit) => {
      const { items } = await records.query({ pk: events_pk, from: position, limit: limit + 1 })
      return items.filter(({ sk }) => sk !== position).map(({ sk, body }) => ({ position: sk, event: PlatformEvent.parse(body) }))
    },
    progressOf: async (subscriber) => {
      const stored = await records.get({ pk: subscribers_pk, sk: `subscriber#${subscriber}` })
      return stored ? Progress.parse(stored.body) : { position: 'event#', attempts: 0, retry_at_ms: 0 }
    },
    note: async (subscriber, progress, parked) => {
      const operations: Operation[] = [
        { put: { pk: subscribers_pk, sk: `subscriber#${subscriber}`, body: { ...progress } }, expect: 'any' },
      ]
      if (parked) {
        const body = JsonObject.parse({ event: parked.queued.event, attempts: parked.attempts, reason: parked.reason })
        operations.push({
          put: { pk: subscribers_pk, sk: `parked#${subscriber}#${parked.queued.position}`, body, expires_at: expiry(parked_s) },
          expect: 'any',
        })
      }
      await records.write(operations)
    },
    parked: async (subscriber) => {
      const { items } = await records.query({
        pk: subscribers_pk,
        from: `parked#${subscriber}#`,
        to: `parked#${subscriber}$`,
        limit: 1000,
      })
      return items.map(({ body }) => Parked.parse(body))
    },
  }
}

/** `event#<ms>#<n>`, strictly growing even when the clock goes back or the host restarts within a millisecond. */
const positions = (records: Records, now: () => Date): (() => Promise<string>) => {
  let last: { ms: number; count: number } | undefined
  return async () => {
    last ??= await newest(records)
    const now_ms = now().getTime()
    last = now_ms > last.ms ? { ms: now_ms, count: 0 } : { ms: last.ms, count: last.count + 1 }
    return `event#${String(last.ms).padStart(15, '0')}#${String(last.count).padStart(9, '0')}`
  }
}

const newest = async (records: Records): Promise<{ ms: number; count: number }> => {
  const { items } = await records.query({ pk: events_pk, order: 'desc', limit: 1 })
  const [, ms = '0', count = '0'] = items[0]?.sk.split('#') ?? []
  return { ms: Number(ms), count: Number(count) }
}
