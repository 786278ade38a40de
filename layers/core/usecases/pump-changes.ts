import * as z from 'zod'
import type { Events } from '../ports/events.ts'
import type { Log } from '../ports/log.ts'
import type { RecordChange } from '../ports/record-changes.ts'
import type { Records } from '../ports/records.ts'
import { readableEvents } from './derive-events.ts'

export interface ChangePumpParts {
  records: Records
  /** Changes after a sequence number, oldest first. */
  changes(after_sequence: number, limit: number): (RecordChange & { sequence: number })[]
  events: Events
  log?: Log
  every_ms?: number
}

export interface ChangePump {
  /** One pass over everything that changed so far; answers how many events it published. */
  pump(): Promise<number>
  /** Ends the timer and waits for a pass under way. */
  stop(): Promise<void>
}

const cursorKey = { pk: 'platform', sk: 'change-cursor' }
const Cursor = z.object({ sequence: z.number() })
const batch = 200

/**
 * Feeds record changes to the events of the embedded host, from where the last pass ended, at least once: the cursor is
 * written after its events. A pass that published nothing moves the cursor in memory only, else its own write would be the next change.
 */
export const pumpChanges = ({ records, changes, events, log, every_ms = 500 }: ChangePumpParts): ChangePump => {
  let position: number | undefined
  const pass = async (): Promise<number> => {
    position ??= await readCursor(records)
    let published = 0
    for (let found = changes(position, batch); found.length > 0; found = changes(position, batch)) {
      const derived = found.flatMap((change) => readableEvents(change, log))
      if (derived.length > 0) await events.publish(derived)
      position = found.at(-1)?.sequence ?? position
      published += derived.length
      // A day of changes may wait after a restart, and reading them blocks: others get their turn between batches.
      await new Promise((resolve) => setImmediate(resolve))
    }
    if (published > 0) await records.write([{ put: { ...cursorKey, body: { sequence: position } }, expect: 'any' }])
    return published
  }
  let turn: Promise<unknown> = Promise.resolve()
  const pump = (): Promise<number> => {
    const next = turn.then(pass)
    turn = next.catch((error: unknown) => log?.error('changes not pumped', { detail: String(error) }))
    return next
  }
  const timer = setInterval(() => pump().catch(() => undefined), every_ms).unref()
  return {
    pump,
    stop: async () => {
      clearInterval(timer)
      await turn
    },
  }
}

const readCursor = async (records: Records): Promise<number> => {
  const stored = await records.get(cursorKey)
  return stored ? Cursor.parse(stored.body).sequence : 0
}
