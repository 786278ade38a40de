import type { PlatformEvent } from '../contract/events.ts'

/** Delivers events at least once, in the order of one publisher; subscribers drop repeats by `event.id`. */
export interface Events {
  publish(events: PlatformEvent[]): Promise<void>
  /** Registers a subscriber by a stable name; a failing subscriber is retried with growing delays and then parked. */
  subscribe(name: string, handle: (event: PlatformEvent) => Promise<void>): void
}
