import { QueryCommand, type QueryCommandOutput } from '@aws-sdk/lib-dynamodb'
import type { Page, Query, Stored } from '../core/ports/records.ts'
import { boundsOf, checkedLimit, cursorAt, positionOf, storedFrom } from './documents.ts'
import { recordsTable } from './records-table.ts'

/**
 * One page. Expired documents are filtered after DynamoDB counted its limit, so it asks until the page is full or the partition
 * ends; one document more than asked for tells whether there is a next page.
 */
export const queryPages = async (
  send: (command: QueryCommand) => Promise<QueryCommandOutput>,
  table: string,
  query: Query,
  now_s: number,
): Promise<Page> => {
  const limit = checkedLimit(query.limit)
  const asked = conditionsOf(query, now_s)
  let start = startOf(query)
  const found: Stored[] = []
  if (!asked) return { items: [] }
  do {
    const { Items = [], LastEvaluatedKey } = await send(
      new QueryCommand({
        TableName: table,
        ...asked,
        Limit: limit + 1 - found.length,
        ...(start && { ExclusiveStartKey: start }),
      }),
    )
    found.push(...Items.map(storedFrom))
    start = LastEvaluatedKey
  } while (start && found.length <= limit)
  const items = found.slice(0, limit)
  const last = items.at(-1)
  if (found.length <= limit || !last) return { items }
  const order_key = query.index ? (last[query.index]?.sk ?? last.sk) : last.sk
  return { items, cursor: cursorAt(query, { pk: last.pk, sk: last.sk, order_key }) }
}

const attributesOf = (query: Query) => (query.index ? recordsTable.indexes[query.index] : recordsTable.key)

const conditionsOf = (query: Query, now_s: number) => {
  const bounds = boundsOf(query)
  if (!bounds) return undefined
  const { pk, sk } = attributesOf(query)
  const { from, to } = bounds
  const range =
    from !== undefined && to !== undefined
      ? ' AND #sk BETWEEN :from AND :to'
      : from !== undefined
        ? ' AND #sk >= :from'
        : to !== undefined
          ? ' AND #sk <= :to'
          : ''
  return {
    ...(query.index ? { IndexName: query.index } : { ConsistentRead: true }),
    KeyConditionExpression: `#pk = :pk${range}`,
    FilterExpression: 'attribute_not_exists(#expires_at) OR #expires_at > :now',
    ExpressionAttributeNames: { '#pk': pk, '#expires_at': recordsTable.ttl, ...(range && { '#sk': sk }) },
    ExpressionAttributeValues: {
      ':pk': query.pk,
      ':now': now_s,
      ...(from !== undefined && { ':from': from }),
      ...(to !== undefined && { ':to': to }),
    },
    ScanIndexForward: query.order !== 'desc',
  }
}

const startOf = (query: Query): Record<string, unknown> | undefined => {
  const position = positionOf(query)
  if (!position) return undefined
  const { pk, sk } = attributesOf(query)
  return { pk: position.pk, sk: position.sk, ...(query.index && { [pk]: query.pk, [sk]: position.order_key }) }
}
