import type { Key, Stored } from './records.ts'

/** One stored change, the same from SQLite's triggers and from DynamoDB Streams. */
export interface RecordChange {
  /** Grows with every change. */
  sequence: number | string
  kind: 'insert' | 'modify' | 'remove'
  key: Key
  old?: Stored
  new?: Stored
  /** Milliseconds since the epoch. */
  at: number
}
