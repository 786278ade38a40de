import { PlatformError } from '../core/contract/errors.ts'
import type { PlatformEvent } from '../core/contract/events.ts'
import type { Events } from '../core/ports/events.ts'
import type { Log } from '../core/ports/log.ts'
import type { Records } from '../core/ports/records.ts'
import { type EventQueue, eventQueue, type Progress, type QueuedEvent } from './queue.ts'

export interface InProcessEvents extends Events {
  /** Begins to deliver, from where each subscriber stood when the host last ran. */
  start(): void
  /** Waits for the handlers that run, delivers nothing more. */
  stop(): Promise<void>
  /** Resolves when every subscriber has all that was published so far or waits for a retry; delivers also without `start`. */
  drain(): Promise<void>
  /** What a subscriber was spared after too many failures, with the last reason. */
  parked(subscriber: string): Promise<{ event: PlatformEvent; attempts: number; reason: string }[]>
}

export interface InProcessEventsParts {
  records: Records
  log: Log
  now(): Date
  /** Waits between attempts, milliseconds; after as many failures and one more the event is parked. */
  retry_ms?: readonly number[]
}

/** Half an hour in all. */
const patience_ms = [1000, 2000, 5000, 15_000, 60_000, 120_000, 300_000, 600_000, 900_000]
const page = 50

interface Subscriber {
  name: string
  handle(event: PlatformEvent): Promise<void>
  /** The delivery under way; one at a time keeps the order. */
  running: Promise<void> | undefined
  /** Something was published since the delivery under way looked. */
  again: boolean
  timer: NodeJS.Timeout | undefined
}

/**
 * Durable events on the records: published means stored. Every subscriber gets every event in order, at least once, on its own:
 * one that fails is retried with growing delays, holds up only itself, and after the last attempt the event is parked with the reason.
 * A subscriber that is new gets what is still kept (seven days).
 */
export const inProcessEvents = ({ records, log, now, retry_ms = patience_ms }: InProcessEventsParts): InProcessEvents => {
  const queue = eventQueue(records, now)
  const subscribers = new Map<string, Subscriber>()
  let state: 'idle' | 'started' | 'stopped' = 'idle'
  const delivery: Delivery = { queue, log, now, retry_ms, stopped: () => state === 'stopped' }
  const run = async (subscriber: Subscriber): Promise<void> => {
    let wait_ms: number | undefined
    do wait_ms = await deliverAll(subscriber, delivery)
    while (wait_ms === undefined && subscriber.again && state !== 'stopped')
    // No await from here on: whoever publishes next finds nothing running and begins anew.
    subscriber.running = undefined
    if (wait_ms !== undefined && state === 'started') schedule(subscriber, wait_ms)
  }
  const deliver = (subscriber: Subscriber): Promise<void> => {
    subscriber.again = true
    subscriber.running ??= run(subscriber)
    return subscriber.running
  }
  const schedule = (subscriber: Subscriber, wait_ms: number): void => {
    clearTimeout(subscriber.timer)
    subscriber.timer = setTimeout(() => void deliver(subscriber), wait_ms).unref()
  }
  return {
    publish: async (events) => {
      if (events.length === 0) return
      await queue.append(events)
      if (state === 'started') for (const subscriber of subscribers.values()) void deliver(subscriber)
    },
    subscribe: (name, handle) => {
      if (!/^[a-z0-9-]+$/.test(name) || subscribers.has(name))
        throw new PlatformError('conflict', `A subscriber wants a name of its own of a-z, 0-9 and -; got ${name}`)
      const subscriber: Subscriber = { name, handle, running: undefined, again: false, timer: undefined }
      subscribers.set(name, subscriber)
      if (state === 'started') void deliver(subscriber)
    },
    start: () => {
      state = 'started'
      for (const subscriber of subscribers.values()) void deliver(subscriber)
    },
    stop: async () => {
      state = 'stopped'
      for (const subscriber of subscribers.values()) clearTimeout(subscriber.timer)
      await Promise.all([...subscribers.values()].map((subscriber) => subscriber.running))
    },
    drain: async () => {
      await Promise.all([...subscribers.values()].map(deliver))
    },
    parked: queue.parked,
  }
}

interface Delivery {
  queue: EventQueue
  log: Log
  now(): Date
  retry_ms: readonly number[]
  stopped(): boolean
}

/** Delivers until nothing is left. Answers after how many milliseconds to come back, if an event waits for its retry. Never rejects. */
const deliverAll = async (subscriber: Subscriber, delivery: Delivery): Promise<number | undefined> => {
  try {
    let progress = await delivery.queue.progressOf(subscriber.name)
    while (subscriber.again && !delivery.stopped()) {
      subscriber.again = false
      const found = await delivery.queue.after(progress.position, page)
      if (found.length > 0) subscriber.again = true
      for (const queued of found) {
        if (delivery.stopped()) return undefined
        const wait_ms = progress.retry_at_ms - delivery.now().getTime()
        if (wait_ms > 0) return wait_ms
        progress = await deliverOne(subscriber, queued, progress, delivery)
        // Not done with it: the next one must not overtake.
        if (progress.position !== queued.position) return Math.max(0, progress.retry_at_ms - delivery.now().getTime())
      }
    }
    return undefined
  } catch (error) {
    delivery.log.error('event delivery stopped', { subscriber: subscriber.name, detail: String(error) })
    return delivery.retry_ms[0] ?? 1000
  }
}

/** One attempt; the answer is where the subscriber stands after it. A failed attempt leaves the position and sets the time of the next. */
const deliverOne = async (
  subscriber: Subscriber,
  queued: QueuedEvent,
  progress: Progress,
  { queue, log, now, retry_ms }: Delivery,
): Promise<Progress> => {
  const done: Progress = { position: queued.position, attempts: 0, retry_at_ms: 0 }
  const failure = await attempt(subscriber, queued.event)
  if (failure === undefined) {
    await queue.note(subscriber.name, done)
    return done
  }
  const attempts = progress.attempts + 1
  const facts = { subscriber: subscriber.name, event_id: queued.event.id, type: queued.event.type, attempts }
  const wait_ms = retry_ms[attempts - 1]
  if (wait_ms === undefined) {
    log.error('event parked', facts)
    await queue.note(subscriber.name, done, { queued, attempts, reason: failure })
    return done
  }
  log.warn('event not delivered', { ...facts, retry_in_ms: wait_ms })
  const waiting: Progress = { position: progress.position, attempts, retry_at_ms: now().getTime() + wait_ms }
  await queue.note(subscriber.name, waiting)
  return waiting
}

/** Why it failed, or undefined. */
const attempt = async (subscriber: Subscriber, event: PlatformEvent): Promise<string | undefined> => {
  try {
    await subscriber.handle(event)
    return undefined
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).slice(0, 500)
  }
}
