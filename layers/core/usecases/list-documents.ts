import type * as z from 'zod'
import { PlatformError } from '../contract/errors.ts'
import type { ListQuery } from '../contract/lists.ts'
import type { App } from '../ports/app.ts'
import type { Stored } from '../ports/records.ts'
import { countsByStatus } from './count-by-status.ts'
import { everyStored } from './every-stored.ts'
import { pageToken, readPageToken } from './page-token.ts'
import { organizationPartition } from './record-keys.ts'

export interface DocumentList<Document, Item> {
  organization_id: string
  /** Documents are `<kind>#<id>`, counted by `countChange` under the same kind. */
  kind: string
  schema: z.ZodType<Document>
  query: ListQuery
  /** Members that must equal; undefined ones do not matter. Bound into page tokens. */
  filter?: Readonly<Record<string, string | undefined>>
  /** Leaves documents out that lie under the kind but are not of the list (and are not counted), e.g. tombstones. */
  visible?: (document: Document) => boolean
  /** What the caller sees of a document. */
  reply: (document: Document) => Item
  /** Of the list itself, for its `Link` header, e.g. `/models`. */
  path: string
}

export interface Envelope<Item> {
  data: Item[]
  pagination: { page: number; limit: number; total: number; total_pages: number }
  statistics: { total: number; by_status: Record<string, number> }
}
export interface TokenPage<Item> {
  items: Item[]
  next_page_token: string
}
export interface ListReply<Item> {
  body: Item[] | Envelope<Item> | TokenPage<Item>
  headers: Record<string, string>
}

/** As many as the plain array holds. */
const ARRAY_LIMIT = 1000
const ENVELOPE_LIMIT = 20
const TOKEN_PAGE_SIZE = 100

/**
 * Documents of an organisation, newest first (ids sort by time), in the form that the query asks for: nothing → an array with
 * `Link: rel="next"`; `page`/`limit` → an envelope with totals and statistics of what matches the filter;
 * `page_size`/`page_token` → AIP-158. Fails with `invalid_request` when the forms are mixed or a token is of another list.
 */
export const listDocuments = async <Document, Item>(
  app: Pick<App, 'records'>,
  list: DocumentList<Document, Item>,
): Promise<ListReply<Item>> => {
  const { page, limit, page_size, page_token, after } = list.query
  const asked = [page ?? limit, page_size ?? page_token, after].filter((value) => value !== undefined)
  if (asked.length > 1) {
    throw new PlatformError(
      'invalid_request',
      'One list has one form: wanted page and limit, or page_size and page_token, or neither',
      {
        errors: [{ pointer: 'query', detail: 'page/limit, page_size/page_token and after exclude each other' }],
      },
    )
  }
  if (page !== undefined || limit !== undefined)
    return { body: await envelope(app, list, page ?? 1, limit ?? ENVELOPE_LIMIT), headers: {} }
  if (page_size !== undefined || page_token !== undefined) {
    // An empty token is the first page: what the last page's `next_page_token` says when a caller goes round again.
    const slice = await read(
      app,
      list,
      page_size ?? TOKEN_PAGE_SIZE,
      page_token ? positionOf(list, page_token, 'page_token') : undefined,
    )
    return { body: { items: slice.items, next_page_token: slice.next ?? '' }, headers: {} }
  }
  const slice = await read(app, list, ARRAY_LIMIT, after === undefined ? undefined : positionOf(list, after, 'after'))
  return { body: slice.items, headers: slice.next === undefined ? {} : { link: `<${nextUrl(list, slice.next)}>; rel="next"` } }
}

const activeFilter = (filter: DocumentList<unknown, unknown>['filter']): [string, string][] =>
  Object.entries(filter ?? {}).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))

const nameOf = <Document, Item>(list: DocumentList<Document, Item>): string =>
  JSON.stringify([list.path, ...activeFilter(list.filter).toSorted()])

const positionOf = <Document, Item>(list: DocumentList<Document, Item>, token: string, parameter: 'after' | 'page_token') =>
  readPageToken(token, { list: nameOf(list), prefix: `${list.kind}#` }, parameter)

const nextUrl = <Document, Item>(list: DocumentList<Document, Item>, token: string): string =>
  `${list.path}?${new URLSearchParams([...activeFilter(list.filter), ['after', token]])}`

/** Matching documents after a sort key, newest first. The filter reads stored members before the schema does its work. */
async function* matching<Document, Item>(
  app: Pick<App, 'records'>,
  list: DocumentList<Document, Item>,
  page_size: number,
  after?: string,
) {
  const wanted = activeFilter(list.filter)
  const { kind } = list
  const query = {
    pk: organizationPartition(list.organization_id),
    from: `${kind}#`,
    to: after ?? `${kind}#~`,
    order: 'desc' as const,
    limit: page_size,
  }
  for await (const stored of everyStored(app.records, query)) {
    if (stored.sk === after || !wanted.every(([name, value]) => stored.body[name] === value)) continue
    const document = list.schema.parse(stored.body)
    if (list.visible?.(document) ?? true) yield { stored, document }
  }
}

const read = async <Document, Item>(
  app: Pick<App, 'records'>,
  list: DocumentList<Document, Item>,
  size: number,
  after?: string,
) => {
  const items: Item[] = []
  let last: Stored | undefined
  for await (const { stored, document } of matching(app, list, Math.min(1000, size + 1), after)) {
    if (items.length === size) return { items, next: pageToken(nameOf(list), last?.sk ?? '') }
    items.push(list.reply(document))
    last = stored
  }
  return { items }
}

const envelope = async <Document, Item>(
  app: Pick<App, 'records'>,
  list: DocumentList<Document, Item>,
  page: number,
  limit: number,
): Promise<Envelope<Item>> => {
  const first = (page - 1) * limit
  const counted = activeFilter(list.filter).length === 0 ? await countsByStatus(app, list.organization_id, list.kind) : undefined
  const seen: Record<string, number> = {}
  const data: Item[] = []
  let at = 0
  for await (const { stored, document } of matching(app, list, 1000)) {
    if (at >= first && data.length < limit) data.push(list.reply(document))
    at += 1
    if (counted && data.length === limit) break
    const { status } = stored.body
    if (typeof status === 'string') seen[status] = (seen[status] ?? 0) + 1
  }
  const by_status = counted ?? seen
  const total = counted ? Object.values(counted).reduce((sum, count) => sum + count, 0) : at
  return { data, pagination: { page, limit, total, total_pages: Math.ceil(total / limit) }, statistics: { total, by_status } }
}
