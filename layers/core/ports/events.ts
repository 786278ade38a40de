import type { PlatformEvent } from '../contract/events.ts'

/**
 * Delivers events at least once. In process they come in the order of one publisher; on AWS in any order, so a subscriber drops repeats
 * by `event.id` and goes by `event.timestamp`, not by arrival.
 */
export interface Events {
  publish(events: PlatformEvent[]): Promise<void>
  /** Registers a subscriber by a stable name; a failing subscriber is retried with growing delays and then parked. */
  subscribe(name: string, handle: (event: PlatformEvent) => Promise<void>): void
}
