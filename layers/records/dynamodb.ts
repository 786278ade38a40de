import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { DeleteCommand, type DynamoDBDocumentClient, GetCommand, PutCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb'
import { PlatformError } from '../core/contract/errors.ts'
import type { Key, Records, Stored } from '../core/ports/records.ts'
import { checkedKey, type Expectation, type Prepared, prepareWrite, storedFrom, versionConflict } from './documents.ts'
import { doubts, everyTry, failedChecks, foreign, isRefusedForNow } from './dynamodb-errors.ts'
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
      if (asked.length > 1) await writeAll(db(), asked, get)
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

type Get = (key: Key) => Promise<Stored | undefined>

/**
 * A try whose answer was lost may have had its effect: the next one then meets it as a failed condition. The new version tells. Where that
 * was overwritten or removed since, nobody can say who came first, and a conflict would have the caller do the same work twice.
 */
const writeOne = async (db: DynamoDBDocumentClient, item: Item, get: Get): Promise<void> => {
  const { operation, Key, condition, document } = item
  if (operation.kind === 'check') return checkOne(operation, await get(Key))
  const doubt = doubts()
  try {
    await patiently(() => {
      if (operation.kind === 'put') {
        const put = new PutCommand({ ...condition, Item: document })
        put.middlewareStack.add(doubt.note, everyTry)
        return db.send(put)
      }
      const remove = new DeleteCommand({ ...condition, Key })
      remove.middlewareStack.add(doubt.note, everyTry)
      return db.send(remove)
    })
  } catch (error) {
    const failed = failedChecks(error)
    if (doubt.is_left() && (await isStored([item], get))) return
    if (failed && doubt.is_left()) throw undecided(error)
    throw failed ? versionConflict([Key], error) : error
  }
}

const undecided = (cause: unknown): PlatformError =>
  new PlatformError('unavailable', 'The records did not say whether the write was done; read again before repeating it', {
    cause,
    retry_after_s: 1,
  })

/** Whether a write is there although no answer said so; a version is unique per write. */
const isStored = async (items: Item[], get: Get): Promise<boolean> => {
  const put = items.find(({ versions }) => versions.length > 0)
  const found = put && (await get(put.Key).catch(() => undefined))
  return found !== undefined && found.version === put?.versions[0]
}

/** ConditionCheck exists in transactions only; alone, a consistent read says the same. */
const checkOne = ({ key, expect }: Prepared, found: Stored | undefined): void => {
  const holds =
    expect === 'absent' ? !found : typeof expect === 'string' ? found !== undefined : found?.version === expect.version
  if (!holds) throw versionConflict([key])
}

/** All tries carry one token, the SDK's and ours: DynamoDB knows a transaction again for ten minutes, and a repeat after a lost answer changes nothing. */
const writeAll = async (db: DynamoDBDocumentClient, items: Item[], get: Get): Promise<void> => {
  const TransactItems = items.map(({ operation, Key, condition, document }) => {
    if (operation.kind === 'put') return { Put: { ...condition, Item: document } }
    if (operation.kind === 'remove') return { Delete: { ...condition, Key } }
    return { ConditionCheck: { ...condition, Key, ConditionExpression: condition.ConditionExpression ?? '' } }
  })
  const ClientRequestToken = randomUUID()
  const doubt = doubts()
  try {
    await patiently(() => {
      const all = new TransactWriteCommand({ TransactItems, ClientRequestToken })
      all.middlewareStack.add(doubt.note, everyTry)
      return db.send(all)
    })
  } catch (error) {
    const failed = failedChecks(error)
    if (failed)
      throw versionConflict(
        failed.flatMap((at) => items[at]?.Key ?? []),
        error,
      )
    if (doubt.is_left() && (await isStored(items, get))) return
    throw error
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
