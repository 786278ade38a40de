import { createHash } from 'node:crypto'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import type { JsonObject } from '../core/domain/json.ts'
import type { Key, Operation, Query, Stored } from '../core/ports/records.ts'

/** What both implementations hold a caller to, so that nothing works on one machine and fails on the other. */
const limits = {
  operations: 25,
  document_bytes: 350_000,
  /** DynamoDB takes 4 MB per transaction, names and keys included. */
  write_bytes: 3_500_000,
  pk_bytes: 2048,
  sk_bytes: 1024,
  page: 1000,
}

/** A put whose body is already JSON text; the other operations as they came. */
export type Prepared =
  | { kind: 'put'; key: Key; json: string; expect: Expectation; lookup?: Key; worklist?: Key; expires_at?: number }
  | { kind: 'remove' | 'check'; key: Key; expect: Expectation }
export type Expectation = 'absent' | 'any' | 'present' | { version: string }

const invalid = (detail: string) => new PlatformError('invalid_request', detail)

/** Checks a write against every limit and turns bodies into text, before anything is stored. Fails with `invalid_request`. */
export const prepareWrite = (operations: readonly Operation[]): Prepared[] => {
  if (operations.length < 1 || operations.length > limits.operations)
    throw invalid(`A write takes 1 to ${limits.operations} operations, got ${operations.length}`)
  const seen = new Set<string>()
  let total = 0
  return operations.map((operation) => {
    const prepared = prepare(operation)
    const name = JSON.stringify([prepared.key.pk, prepared.key.sk])
    if (seen.has(name)) throw invalid(`A write takes every key once, got ${name} twice`)
    seen.add(name)
    total += prepared.kind === 'put' ? Buffer.byteLength(prepared.json) : 0
    if (total > limits.write_bytes) throw invalid(`A write takes at most ${limits.write_bytes} bytes of documents in all`)
    return prepared
  })
}

const prepare = (operation: Operation): Prepared => {
  if ('remove' in operation) return { kind: 'remove', key: checkedKey(operation.remove), expect: operation.expect }
  if ('check' in operation) return { kind: 'check', key: checkedKey(operation.check), expect: operation.expect }
  const { put, expect } = operation
  const json = jsonOf(put.body, put)
  const size_bytes = Buffer.byteLength(json)
  if (size_bytes > limits.document_bytes)
    throw invalid(`Document ${put.pk} ${put.sk} is ${size_bytes} bytes as JSON, wanted at most ${limits.document_bytes}`)
  if (put.expires_at !== undefined && !Number.isSafeInteger(put.expires_at))
    throw invalid(`expires_at of ${put.pk} ${put.sk} is ${put.expires_at}, wanted whole Unix seconds`)
  return {
    kind: 'put',
    key: checkedKey(put),
    json,
    expect,
    ...(put.lookup && { lookup: checkedKey(put.lookup) }),
    ...(put.worklist && { worklist: checkedKey(put.worklist) }),
    ...(put.expires_at !== undefined && { expires_at: put.expires_at }),
  }
}

const jsonOf = (body: JsonObject, key: Key): string => {
  try {
    return JSON.stringify(body)
  } catch (cause) {
    throw new PlatformError('invalid_request', `Document ${key.pk} ${key.sk} cannot be written as JSON`, { cause })
  }
}

export const checkedKey = (key: Key): Key => {
  checkedPart('pk', key.pk, limits.pk_bytes)
  checkedPart('sk', key.sk, limits.sk_bytes)
  return { pk: key.pk, sk: key.sk }
}

/** A lone surrogate would become the replacement character, and two keys one; a NUL ends text for half of all tools. */
const checkedPart = (name: string, part: string, max_bytes: number): void => {
  const size_bytes = Buffer.byteLength(part)
  if (size_bytes < 1 || size_bytes > max_bytes) throw invalid(`A key's ${name} takes 1 to ${max_bytes} bytes, got ${size_bytes}`)
  if (!part.isWellFormed() || part.includes('\0'))
    throw invalid(`A key's ${name} is well-formed text without NUL, got ${JSON.stringify(part)}`)
}

export const checkedLimit = (limit = 100): number => {
  if (!Number.isInteger(limit) || limit < 1 || limit > limits.page)
    throw invalid(`limit is a whole number from 1 to ${limits.page}, got ${limit}`)
  return limit
}

/** The bounds of a query, checked as keys are; undefined when nothing can lie between them. An empty `from` bounds nothing. */
export const boundsOf = ({ pk, from, to }: Query): { from?: string; to?: string } | undefined => {
  checkedPart('pk', pk, limits.pk_bytes)
  if (from) checkedPart('from', from, limits.sk_bytes)
  if (to) checkedPart('to', to, limits.sk_bytes)
  if (to === '' || (from && to && Buffer.compare(Buffer.from(from), Buffer.from(to)) > 0)) return undefined
  return { ...(from && { from }), ...(to && { to }) }
}

/** Where a page ended: the last document's position in the order of the query. */
export interface Position extends Key {
  /** Sort key in the index; equal to `sk` without one. */
  order_key: string
}

const Cursor = z.tuple([z.string(), z.string(), z.string(), z.string()])
const fingerprint = ({ index, pk, from, to, order }: Query): string =>
  createHash('sha256')
    .update(JSON.stringify([index ?? null, pk, from ?? null, to ?? null, order ?? 'asc']))
    .digest('base64url')
    .slice(0, 16)

export const cursorAt = (query: Query, at: Position): string =>
  Buffer.from(JSON.stringify([fingerprint(query), at.order_key, at.pk, at.sk])).toString('base64url')

/** Fails with `bad_request` on a cursor of another query, or on none of ours. */
export const positionOf = (query: Query): Position | undefined => {
  if (query.cursor === undefined) return undefined
  const [, order_key = '', pk = '', sk = ''] =
    Cursor.safeParse(jsonFrom(Buffer.from(query.cursor, 'base64url').toString())).data ?? []
  // Written anew it must be the same text: that covers the query, and what lenient base64 would forgive.
  if (cursorAt(query, { order_key, pk, sk }) !== query.cursor)
    throw new PlatformError('bad_request', 'This cursor does not belong to this query; start again without one')
  return { order_key, pk, sk }
}

const jsonFrom = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Text from the store as a body. `JSON.parse` yields JSON by construction; only that it is an object is left to check. */
const Body = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'wanted a JSON object',
)

/** A stored document as both implementations lay it out: flat, the body as text, absent members null or missing. */
export const Row = z.object({
  pk: z.string(),
  sk: z.string(),
  version: z.string(),
  body: z.string(),
  lookup_pk: z.string().nullish(),
  lookup_sk: z.string().nullish(),
  worklist_pk: z.string().nullish(),
  worklist_sk: z.string().nullish(),
  expires_at: z.number().nullish(),
})
export type Row = z.infer<typeof Row>

/** Fails with `internal` when the stored row is not one of ours. */
export const storedFrom = (foreign: unknown): Stored => {
  const row = Row.parse(foreign)
  const stored: Stored = { pk: row.pk, sk: row.sk, version: row.version, body: Body.parse(JSON.parse(row.body)) }
  if (row.lookup_pk && row.lookup_sk) stored.lookup = { pk: row.lookup_pk, sk: row.lookup_sk }
  if (row.worklist_pk && row.worklist_sk) stored.worklist = { pk: row.worklist_pk, sk: row.worklist_sk }
  if (row.expires_at !== null && row.expires_at !== undefined) stored.expires_at = row.expires_at
  return stored
}

/** Names the keys whose expectation failed, as the port promises. */
export const versionConflict = (keys: Key[], cause?: unknown): PlatformError =>
  new PlatformError('version_conflict', `Changed meanwhile: ${keys.map((key) => `${key.pk} ${key.sk}`).join(', ')}`, {
    facts: { keys },
    cause,
  })
