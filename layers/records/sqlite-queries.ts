import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { Page, Query, Stored } from '../core/ports/records.ts'
import { boundsOf, checkedLimit, cursorAt, type Position, positionOf, storedFrom } from './documents.ts'

const columns = {
  none: { pk: 'pk', sk: 'sk' },
  lookup: { pk: 'lookup_pk', sk: 'lookup_sk' },
  worklist: { pk: 'worklist_pk', sk: 'worklist_sk' },
}

/** Reads pages of one partition; every shape of query is prepared once. `now_s` is Unix seconds. */
export const queryReader = (db: DatabaseSync) => {
  const prepared = new Map<string, StatementSync>()
  const statement = (sql: string): StatementSync => {
    const known = prepared.get(sql)
    if (known) return known
    const made = db.prepare(sql)
    prepared.set(sql, made)
    return made
  }
  return (query: Query, now_s: number): Page => {
    const limit = checkedLimit(query.limit)
    const bounds = boundsOf(query)
    const position = positionOf(query)
    if (!bounds) return { items: [] }
    const { sql, values } = selectFor({ ...query, ...bounds }, position, now_s, limit + 1)
    const found = statement(sql)
      .all(...values)
      .map(storedFrom)
    const items = found.slice(0, limit)
    const last = items.at(-1)
    return found.length > limit && last
      ? { items, cursor: cursorAt(query, { pk: last.pk, sk: last.sk, order_key: orderKey(query, last) }) }
      : { items }
  }
}

const orderKey = (query: Query, stored: Stored): string => (query.index ? (stored[query.index]?.sk ?? stored.sk) : stored.sk)

const selectFor = (
  query: Query,
  position: Position | undefined,
  now_s: number,
  limit: number,
): { sql: string; values: SQLInputValue[] } => {
  const { pk, sk } = columns[query.index ?? 'none']
  const [after, direction] = query.order === 'desc' ? ['<', 'desc'] : ['>', 'asc']
  const conditions: [string, SQLInputValue[]][] = [[`${pk} = ?`, [query.pk]]]
  if (query.from !== undefined) conditions.push([`${sk} >= ?`, [query.from]])
  if (query.to !== undefined) conditions.push([`${sk} <= ?`, [query.to]])
  if (position && !query.index) conditions.push([`sk ${after} ?`, [position.sk]])
  if (position && query.index)
    conditions.push([`(${sk}, pk, sk) ${after} (?, ?, ?)`, [position.order_key, position.pk, position.sk]])
  conditions.push(['(expires_at is null or expires_at > ?)', [now_s]])
  const order = query.index ? [sk, 'pk', 'sk'] : ['sk']
  return {
    sql: `select * from documents where ${conditions.map(([sql]) => sql).join(' and ')} order by ${order.map((column) => `${column} ${direction}`).join(', ')} limit ?`,
    values: [...conditions.flatMap(([, values]) => values), limit],
  }
}
