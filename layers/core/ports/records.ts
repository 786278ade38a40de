import type { JsonObject } from '../domain/json.ts'

/**
 * A small document store with three verbs, native on SQLite and on DynamoDB.
 * Documents of one organisation share the partition `org#<id>`, so tenancy holds by construction.
 */
export interface Records {
  /** The document, or undefined when absent or expired. Strongly consistent. */
  get(key: Key): Promise<Stored | undefined>
  /**
   * Documents of one partition in sort-key order (UTF-8 byte order), expired ones left out; `from` and `to` are inclusive bounds.
   * Read through an index the answer may be a moment old: re-read by key before acting on it.
   */
  query(query: Query): Promise<Page>
  /**
   * 1–25 operations on distinct keys, all or none. Fails with `version_conflict` (facts.keys lists the keys) when an expectation
   * does not hold, `invalid_request` when a document exceeds 350 kB as JSON. Answers the new version of every put, in order.
   */
  write(operations: Operation[]): Promise<string[]>
}

export interface Key {
  pk: string
  sk: string
}

export interface Stored extends Key {
  /** Opaque and unique per write: the same body written twice has two versions. */
  version: string
  body: JsonObject
  /** Index entries as written. */
  lookup?: Key
  worklist?: Key
  /** Unix seconds after which the document counts as absent. */
  expires_at?: number
}

/**
 * `lookup`: find one document by another name (user name, key id, deployment id without its organisation).
 * `worklist`: documents of all organisations that wait for something (active deployments, running executions). Sort keys end in `#id`.
 */
export type IndexName = 'lookup' | 'worklist'

export interface Query {
  index?: IndexName
  pk: string
  from?: string
  to?: string
  order?: 'asc' | 'desc'
  /** 1–1000, default 100. */
  limit?: number
  cursor?: string
}

export interface Page {
  items: Stored[]
  /** Present when there is more; opaque, bound to the query it came from. */
  cursor?: string
}

/** What must be true of the stored document for the whole write to happen. An expired document counts as absent. */
export type Expect = 'absent' | 'any' | { version: string }

export type Operation =
  | { put: Key & { body: JsonObject; lookup?: Key; worklist?: Key; expires_at?: number }; expect: Expect }
  | { remove: Key; expect: Expect }
  | { check: Key; expect: Expect | 'present' }
