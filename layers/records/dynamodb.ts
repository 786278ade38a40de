import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { DeleteCommand, type DynamoDBDocumentClient, GetCommand, PutCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb'
import type { Key, Records, Stored } from '../core/ports/records.ts'
import { checkedKey, type Expectation, type Prepared, prepareWrite, storedFrom, versionConflict } from './documents.ts'
import { failedChecks, foreign, isRefusedForNow, wasRepeated } from './dynamodb-errors.ts'
import { queryPages } from './dynamodb-queries.ts'

export interface DynamodbOptions {
  table: string
  /** Called at the first use, so that a cold start without records pays nothing. */
  client(): DynamoDBDocumentClient
  now(): Date
}

/** Records in one DynamoDB table (`recordsTable`). One operation is a PutItem or DeleteItem, several are a TransactWriteItems. */
export const dynamodbRecords = ({ table, client, now }: DynamodbOptions): Records => {
  let connected: DynamoDBDocumentClient | undefined
  const db = () => {
    connected ??= client()
    return connected
  }
  const nowSeconds = () => Math.floor(now().getTime() / 1000)
  const get = async (key: Key): Promise<Stored | undefined> => {
    const { Item } = await patiently(() =>
      db().send(new GetCommand({ TableName: table, Key: checkedKey(key), ConsistentRead: true })),
    )
    const stored = Item && storedFrom(Item)
    return stored?.expires_at !== undefined && stored.expires_at <= nowSeconds() ? undefined : stored
  }

  return {
    get,
    query: (query) => queryPages((command) => patiently(() => db().send(command)), table, query, nowSeconds()),
    write: async (operations) => {
      const items = prepareWrite(operations).map((operation) => itemOf(table, operation, nowSeconds()))
      const asked = items.filter(({ operation }) => operation.kind !== 'check' || operation.expect !== 'any')
      const [only] = asked
      if (only && asked.length === 1) await writeOne(db(), only, get)
      if (asked.length > 1) await writeAll(db(), asked)
      return items.flatMap((item) => item.versions)
    },
  }
}

interface Item {
  operation: Prepared
  /** The new version, for a put. */
  versions: string[]
  /** Members of PutItem, DeleteItem and ConditionCheck alike. */
  Key: Key
  condition: {
    TableName: string
    ConditionExpression?: string
    ExpressionAttributeNames?: Record<string, string>
    ExpressionAttributeValues?: Record<string, string | number>
  }
  document: Record<string, string | number>
}

const itemOf = (table: string, operation: Prepared, now_s: number): Item => {
  const versions = operation.kind === 'put' ? [randomUUID()] : []
  return {
    operation,
    versions,
    Key: operation.key,
    condition: { TableName: table, ...conditionOf(operation.expect, now_s) },
    document: operation.kind === 'put' ? documentOf(operation, versions[0] ?? '') : {},
  }
}

const documentOf = (put: Extract<Prepared, { kind: 'put' }>, version: string): Record<string, string | number> => ({
  ...put.key,
  version,
  body: put.json,
  ...(put.lookup && { lookup_pk: put.lookup.pk, lookup_sk: put.lookup.sk }),
  ...(put.worklist && { worklist_pk: put.worklist.pk, worklist_sk: put.worklist.sk }),
  ...(put.expires_at !== undefined && { expires_at: put.expires_at }),
})

/** An expired document counts as absent although DynamoDB may keep it for days. */
const conditionOf = (expect: Expectation, now_s: number): Omit<Item['condition'], 'TableName'> => {
  if (expect === 'any') return {}
  const live = '(attribute_not_exists(#expires_at) OR #expires_at > :now)'
  const names = { '#expires_at': 'expires_at' }
  const named = { ...names, '#pk': 'pk' }
  const now = { ':now': now_s }
  if (expect === 'absent')
    return {
      ConditionExpression: 'attribute_not_exists(#pk) OR #expires_at <= :now',
      ExpressionAttributeNames: named,
      ExpressionAttributeValues: now,
    }
  if (expect === 'present')
    return {
      ConditionExpression: `attribute_exists(#pk) AND ${live}`,
      ExpressionAttributeNames: named,
      ExpressionAttributeValues: now,
    }
  return {
    ConditionExpression: `#version = :version AND ${live}`,
    ExpressionAttributeNames: { ...names, '#version': 'version' },
    ExpressionAttributeValues: { ...now, ':version': expect.version },
  }
}

const writeOne = async (
  db: DynamoDBDocumentClient,
  item: Item,
  get: (key: Key) => Promise<Stored | undefined>,
): Promise<void> => {
  const { operation, Key, condition, document, versions } = item
  if (operation.kind === 'check') return checkOne(operation, await get(Key))
  try {
    await patiently(() =>
      operation.kind === 'put'
        ? db.send(new PutCommand({ ...condition, Item: document }))
        : db.send(new DeleteCommand({ ...condition, Key })),
    )
  } catch (error) {
    // A repeat by the SDK after a lost answer meets its own first try: the version tells.
    if (failedChecks(error) && wasRepeated(error) && versions[0] !== undefined && (await get(Key))?.version === versions[0])
      return
    throw failedChecks(error) ? versionConflict([Key], error) : error
  }
}

/** ConditionCheck exists in transactions only; alone, a consistent read says the same. */
const checkOne = ({ key, expect }: Prepared, found: Stored | undefined): void => {
  const holds =
    expect === 'absent' ? !found : typeof expect === 'string' ? found !== undefined : found?.version === expect.version
  if (!holds) throw versionConflict([key])
}

/** The SDK gives every try of one command the same token, so a repeat after a lost answer changes nothing. */
const writeAll = async (db: DynamoDBDocumentClient, items: Item[]): Promise<void> => {
  const TransactItems = items.map(({ operation, Key, condition, document }) => {
    if (operation.kind === 'put') return { Put: { ...condition, Item: document } }
    if (operation.kind === 'remove') return { Delete: { ...condition, Key } }
    return { ConditionCheck: { ...condition, Key, ConditionExpression: condition.ConditionExpression ?? '' } }
  })
  try {
    await patiently(() => db.send(new TransactWriteCommand({ TransactItems })))
  } catch (error) {
    const failed = failedChecks(error)
    if (!failed) throw error
    throw versionConflict(
      failed.flatMap((at) => items[at]?.Key ?? []),
      error,
    )
  }
}

const tries = 6
const first_pause_ms = 25

/**
 * Repeats what DynamoDB definitely refused for the moment (throttled, or another transaction holds an item), with full jitter, on
 * top of the SDK's own three tries; then fails with `unavailable`. Failed conditions pass through as they came.
 */
const patiently = async <Answer>(send: () => Promise<Answer>): Promise<Answer> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send()
    } catch (error) {
      if (failedChecks(error)) throw error
      if (attempt === tries || !isRefusedForNow(error)) throw foreign(error)
      await pause(Math.random() * first_pause_ms * 2 ** attempt)
    }
  }
}
