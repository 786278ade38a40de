import { closeSync, openSync } from 'node:fs'
import { backup, DatabaseSync } from 'node:sqlite'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import type { Key, Operation, Page, Query, Records, Stored } from '../core/ports/records.ts'
import { checkedKey, prepareWrite, storedFrom } from './documents.ts'
import { holdFolder } from './sqlite-lock.ts'
import { queryReader } from './sqlite-queries.ts'
import { schema, schema_version } from './sqlite-schema.ts'
import { commit, documentStore, type Pending, translated } from './sqlite-store.ts'

/** One stored change, in the shape of a DynamoDB stream record. A document past its expiry leaves as a `remove`. */
export interface Change {
  /** Grows by every change, never reused. */
  sequence: number
  kind: 'insert' | 'modify' | 'remove'
  key: Key
  old?: Stored
  new?: Stored
  /** Milliseconds since the epoch. */
  at: number
}

export interface SqliteRecords extends Records {
  /** Changes after a sequence number, oldest first. */
  changes(after_sequence: number, limit?: number): Change[]
  /** Forgets changes up to and including a sequence number; answers how many. */
  pruneChanges(through_sequence: number): number
  /** Calls the listener after every durable commit; answers how to stop. The listener must not throw. */
  onCommit(listener: () => void): () => void
  /** Removes expired documents and changes older than a day (as DynamoDB Streams keep them); runs by itself every minute. */
  sweep(): { documents: number; changes: number }
  /** A consistent copy of everything acknowledged so far, as a new database file. */
  backupTo(file: string): Promise<void>
  /** Writes what is pending, folds the log into the file, and frees the folder for another host. */
  close(): void
}

export interface SqliteOptions {
  path: string
  now(): Date
  /** Largest size of the file; what does not fit any more fails with `storage_full`, as on a full disk. */
  max_bytes?: number
}

const page_bytes = 4096
const change_retention_ms = 24 * 3600 * 1000
const sweep_every_ms = 60_000
/** Writes per commit: enough to share one fsync, few enough to give the event loop back within milliseconds. */
const commit_at_most = 200
/** Rows per sweep and table, for the same reason. */
const sweep_at_most = 5000

/**
 * Records in one SQLite file: WAL, every acknowledged write on disk (`synchronous=FULL`), concurrent writes of one turn of the event
 * loop in one commit while each stays all-or-none. Fails with `conflict` when another host has the file.
 */
export const sqliteRecords = ({ path, now, max_bytes }: SqliteOptions): SqliteRecords => {
  const release = holdFolder(path)
  const db = openDatabase(path, now)
  if (max_bytes !== undefined) db.exec(`pragma max_page_count = ${Math.floor(max_bytes / page_bytes)}`)
  const nowSeconds = () => Math.floor(now().getTime() / 1000)
  const store = documentStore(db, nowSeconds)
  const readPage = queryReader(db)
  const listeners = new Set<() => void>()
  const pending: Pending[] = []

  const flush = (): void => {
    const batch = pending.splice(0, commit_at_most)
    if (batch.length === 0 || !db.isOpen) return
    commit(db, store, batch)
    for (const listener of listeners) listener()
    if (pending.length > 0) setImmediate(flush)
  }
  const timer = setInterval(() => attempt(() => sweep(db, now)), sweep_every_ms).unref()

  return {
    get: async (key) => translated(() => store.read(checkedKey(key))),
    query: async (query: Query): Promise<Page> => translated(() => readPage(query, nowSeconds())),
    write: async (operations: Operation[]) => {
      const prepared = prepareWrite(operations)
      if (!db.isOpen) throw new PlatformError('unavailable', 'The records are closed')
      return new Promise<string[]>((resolve, reject) => {
        if (pending.length === 0) setImmediate(flush)
        pending.push({ operations: prepared, resolve, reject })
      })
    },
    ...changeLog(db),
    onCommit: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    sweep: () => sweep(db, now),
    backupTo: async (file) => {
      while (pending.length > 0) flush()
      await backup(db, file)
    },
    close: () => {
      if (!db.isOpen) return
      while (pending.length > 0) flush()
      clearInterval(timer)
      db.exec('pragma wal_checkpoint(truncate)')
      db.close()
      release()
    },
  }
}

const openDatabase = (path: string, now: () => Date): DatabaseSync => {
  // The file is made first, so that it and its log are the platform's alone.
  if (path !== ':memory:') closeSync(openSync(path, 'a', 0o600))
  const db = new DatabaseSync(path, { timeout: 5000 })
  db.function('now_ms', () => now().getTime())
  db.exec('pragma journal_mode = wal; pragma synchronous = full; pragma temp_store = memory; pragma cache_size = -16000;')
  const found = z.object({ user_version: z.number() }).parse(db.prepare('pragma user_version').get()).user_version
  if (found > schema_version)
    throw new PlatformError(
      'conflict',
      `${path} was written by a newer version (schema ${found}, this one knows ${schema_version})`,
    )
  db.exec(`begin immediate; ${schema}; pragma user_version = ${schema_version}; commit;`)
  return db
}

const ChangeRow = z.object({
  sequence: z.number(),
  kind: z.enum(['insert', 'modify', 'remove']),
  pk: z.string(),
  sk: z.string(),
  before: z.string().nullable(),
  after: z.string().nullable(),
  at_ms: z.number(),
})

const changeLog = (db: DatabaseSync): Pick<SqliteRecords, 'changes' | 'pruneChanges'> => {
  const select = db.prepare('select * from changes where sequence > ? order by sequence limit ?')
  const prune = db.prepare('delete from changes where sequence <= ?')
  return {
    changes: (after_sequence, limit = 100) =>
      select.all(after_sequence, limit).map((row) => {
        const { sequence, kind, pk, sk, before, after, at_ms } = ChangeRow.parse(row)
        const images = {
          ...(before && { old: storedFrom(JSON.parse(before)) }),
          ...(after && { new: storedFrom(JSON.parse(after)) }),
        }
        return { sequence, kind, key: { pk, sk }, ...images, at: at_ms }
      }),
    pruneChanges: (through_sequence) => Number(prune.run(through_sequence).changes),
  }
}

const sweep = (db: DatabaseSync, now: () => Date): { documents: number; changes: number } => {
  const at_ms = now().getTime()
  const documents = db
    .prepare('delete from documents where rowid in (select rowid from documents where expires_at <= ? limit ?)')
    .run(Math.floor(at_ms / 1000), sweep_at_most)
  const changes = db
    .prepare('delete from changes where sequence in (select sequence from changes where at_ms < ? order by sequence limit ?)')
    .run(at_ms - change_retention_ms, sweep_at_most)
  return { documents: Number(documents.changes), changes: Number(changes.changes) }
}

/** Sweeping only tidies up: a full disk must not end the host, and the next minute tries again. */
const attempt = (work: () => void): void => {
  try {
    work()
  } catch {}
}
