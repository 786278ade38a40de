import { randomUUID } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import type { Key, Stored } from '../core/ports/records.ts'
import { type Prepared, storedFrom, versionConflict } from './documents.ts'

/** A checked write that waits for the next commit. */
export interface Pending {
  operations: Prepared[]
  resolve(versions: string[]): void
  reject(error: unknown): void
}

export type DocumentStore = ReturnType<typeof documentStore>

export const documentStore = (db: DatabaseSync, nowSeconds: () => number) => {
  const select = db.prepare('select * from documents where pk = ? and sk = ?')
  const insert = db.prepare('insert into documents values (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const update = db.prepare(
    `update documents set version = ?, body = ?, lookup_pk = ?, lookup_sk = ?, worklist_pk = ?, worklist_sk = ?, expires_at = ? where pk = ? and sk = ?`,
  )
  const remove = db.prepare('delete from documents where pk = ? and sk = ?')
  const head = db.prepare('select version, expires_at from documents where pk = ? and sk = ?')
  const Head = z.object({ version: z.string(), expires_at: z.number().nullable() })
  const expired = (expires_at: number | null | undefined) => typeof expires_at === 'number' && expires_at <= nowSeconds()
  return {
    read: (key: Key): Stored | undefined => {
      const row = select.get(key.pk, key.sk)
      const stored = row && storedFrom(row)
      return stored && !expired(stored.expires_at) ? stored : undefined
    },
    /** The version in force; a document past its expiry is removed here, so that its successor counts as new. */
    version: (key: Key): string | undefined => {
      const row = head.get(key.pk, key.sk)
      if (!row) return undefined
      const found = Head.parse(row)
      if (!expired(found.expires_at)) return found.version
      remove.run(key.pk, key.sk)
      return undefined
    },
    put: (operation: Extract<Prepared, { kind: 'put' }>, replaces: boolean): string => {
      const { key, lookup, worklist } = operation
      const version = randomUUID()
      const rest = [lookup?.pk, lookup?.sk, worklist?.pk, worklist?.sk, operation.expires_at].map((value) => value ?? null)
      if (replaces) update.run(version, operation.json, ...rest, key.pk, key.sk)
      else insert.run(key.pk, key.sk, version, operation.json, ...rest)
      return version
    },
    remove: (key: Key): void => {
      remove.run(key.pk, key.sk)
    },
  }
}

/** All pending writes in one transaction. An SQL failure undoes and rejects all of them; a failed expectation only its own. */
export const commit = (db: DatabaseSync, store: DocumentStore, batch: Pending[]): void => {
  const settle: (() => void)[] = []
  try {
    db.exec('begin immediate')
    for (const { operations, resolve, reject } of batch) {
      const outcome = apply(store, operations)
      settle.push(outcome instanceof PlatformError ? () => reject(outcome) : () => resolve(outcome))
    }
    db.exec('commit')
  } catch (cause) {
    if (db.isTransaction) db.exec('rollback')
    for (const { reject } of batch) reject(foreign(cause))
    return
  }
  for (const each of settle) each()
}

/** Checks every expectation before the first change, so a refused write needs no undoing. */
const apply = (store: DocumentStore, operations: Prepared[]): string[] | PlatformError => {
  const found = operations.map((operation) => store.version(operation.key))
  const failed = operations.filter((operation, at) => !holds(operation.expect, found[at]))
  if (failed.length > 0) return versionConflict(failed.map((operation) => operation.key))
  const versions: string[] = []
  for (const [at, operation] of operations.entries()) {
    if (operation.kind === 'put') versions.push(store.put(operation, found[at] !== undefined))
    if (operation.kind === 'remove') store.remove(operation.key)
  }
  return versions
}

const holds = (expect: Prepared['expect'], version: string | undefined): boolean => {
  if (expect === 'any') return true
  if (expect === 'absent') return version === undefined
  return expect === 'present' ? version !== undefined : version === expect.version
}

export const translated = <Answer>(read: () => Answer): Answer => {
  try {
    return read()
  } catch (cause) {
    throw foreign(cause)
  }
}

const SqliteError = z.object({ code: z.literal('ERR_SQLITE_ERROR'), errcode: z.number(), errstr: z.string() })
const sqlite_full = 13

const foreign = (cause: unknown): unknown => {
  const error = SqliteError.safeParse(cause)
  if (!error.success) return cause
  if ((error.data.errcode & 0xff) === sqlite_full)
    return new PlatformError('storage_full', 'The records have no room left on this disk', { cause })
  return new PlatformError('unavailable', `The records could not be read or written: ${error.data.errstr}`, {
    cause,
    retry_after_s: 1,
  })
}
