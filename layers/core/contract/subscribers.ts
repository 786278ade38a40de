import type { PlatformEvent } from './events.ts'

/**
 * Who is told when something happened. A subscriber's code is `functions/events/<id>.ts`; `lib/` gives each a rule, a queue with its
 * dead letters and a function, the embedded host subscribes it to the events in its process.
 */
export interface SubscriberRow {
  id: string
  summary: string
  /** Types it is told of. */
  types: 'all' | readonly PlatformEvent['type'][]
  /** Capabilities, as `port:verb`; `lib/` turns them into grants. */
  needs: readonly string[]
}

/** Told at least once, in any order: what it does twice must come to the same as once, and what comes late must not undo what came before. */
export type Subscriber = (event: PlatformEvent) => Promise<void>

export const subscribers = {
  'keep-audit': {
    id: 'keep-audit',
    summary: 'Keeps every event of an organisation for 400 days, for GET /audit',
    types: 'all',
    needs: ['records:write'],
  },
} as const satisfies Record<string, SubscriberRow>

export type SubscriberId = keyof typeof subscribers

/** Whether a row is told of an event. On AWS the rule decides the same before the queue. */
export const isTold = (row: SubscriberRow, event: Pick<PlatformEvent, 'type'>): boolean =>
  row.types === 'all' || row.types.includes(event.type)
