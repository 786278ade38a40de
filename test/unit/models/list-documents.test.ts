import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { ListQuery } from '../../../layers/core/contract/lists.ts'
import { countChange, countsByStatus } from '../../../layers/core/usecases/count-by-status.ts'
import { listDocuments } from '../../../layers/core/usecases/list-documents.ts'
import { retryConflicts } from '../../../layers/core/usecases/retry-conflicts.ts'
import { sqliteRecords } from '../../../layers/records/sqlite.ts'

const Thing = z.object({ id: z.string(), status: z.string(), colour: z.string() })
let app: { records: ReturnType<typeof sqliteRecords> }
beforeEach(() => {
  app = { records: sqliteRecords({ path: ':memory:', now: () => new Date() }) }
})
afterEach(() => app.records.close())

const add = (at: number, organization_id = 'org_1') => {
  const id = `thing_${String(at).padStart(5, '0')}`
  const body = { id, status: at % 3 === 0 ? 'old' : 'new', colour: at % 2 === 0 ? 'red' : 'blue & "green"' }
  return retryConflicts(async () =>
    app.records.write([
      { put: { pk: `org#${organization_id}`, sk: `thing#${id}`, body }, expect: 'absent' },
      ...(await countChange(app, { organization_id, kind: 'thing', id, to: body.status })),
    ]),
  )
}
const fill = async (count: number) => {
  for (let at = 0; at < count; at += 100)
    await Promise.all(Array.from({ length: Math.min(100, count - at) }, (_, more) => add(at + more)))
}
const list = (query: Record<string, unknown>, filter: Record<string, string | undefined> = {}) =>
  listDocuments(app, {
    organization_id: 'org_1',
    kind: 'thing',
    schema: Thing,
    query: ListQuery.parse(query),
    filter,
    reply: ({ id }) => id,
    path: '/things',
  })
const newest = (count: number, from = count): string[] =>
  Array.from({ length: count }, (_, at) => `thing_${String(from - 1 - at).padStart(5, '0')}`)

describe('the plain array', () => {
  test('is newest first, of one organisation and kind only', async () => {
    await fill(5)
    await add(9, 'org_2')
    await app.records.write([{ put: { pk: 'org#org_1', sk: 'thing-use#thing_1', body: {} }, expect: 'absent' }])
    expect(await list({})).toEqual({ body: newest(5), headers: {} })
  })
  test('holds 1,000 and links to the rest, filter included', async () => {
    await fill(2100)
    const first = await list({})
    expect(first.body).toEqual(newest(1000, 2100))
    const second = await list({ after: afterOf(first.headers.link) })
    expect(second.body).toEqual(newest(1000, 1100))
    const third = await list({ after: afterOf(second.headers.link) })
    expect(third).toEqual({ body: newest(100, 100), headers: {} })
    const blue = await list({}, { colour: 'blue & "green"', status: undefined })
    expect(new URL(blue.headers.link?.match(/<(.*)>/)?.[1] ?? '', 'http://x').searchParams.get('colour')).toBe('blue & "green"')
  })
})

describe('page and limit', () => {
  test('count everything from the counters', async () => {
    await fill(45)
    const { body } = await list({ page: 2, limit: 20 })
    expect(body).toEqual({
      data: newest(20, 25),
      pagination: { page: 2, limit: 20, total: 45, total_pages: 3 },
      statistics: { total: 45, by_status: { old: 15, new: 30 } },
    })
  })
  test('count what matches a filter, and answer an empty page past the end', async () => {
    await fill(45)
    const { body } = await list({ page: 4, limit: 10 }, { colour: 'red' })
    expect(body).toEqual({
      data: [],
      pagination: { page: 4, limit: 10, total: 23, total_pages: 3 },
      statistics: { total: 23, by_status: { old: 8, new: 15 } },
    })
    const { body: last } = await list({ page: 3, limit: 10 }, { colour: 'red' })
    expect(last).toMatchObject({ data: ['thing_00004', 'thing_00002', 'thing_00000'] })
  })
})

describe('page_size and page_token', () => {
  test('walk every document once and end with an empty token', async () => {
    await fill(25)
    const seen: string[] = []
    let page_token: string | undefined
    do {
      const { body } = await list({ page_size: 10, ...(page_token && { page_token }) })
      if (Array.isArray(body) || !('items' in body)) throw new Error('wanted the token form')
      seen.push(...body.items)
      page_token = body.next_page_token
    } while (page_token)
    expect(seen).toEqual(newest(25))
  })
  test('a page that is exactly full and last has no further token; size 0 means the default', async () => {
    await fill(10)
    expect(await list({ page_size: 10 })).toMatchObject({ body: { next_page_token: '' } })
    expect(await list({ page_size: 0 })).toMatchObject({ body: { items: newest(10) } })
  })
  test('a document that disappears between two pages does not break the walk', async () => {
    await fill(6)
    const { body } = await list({ page_size: 3 })
    if (Array.isArray(body) || !('items' in body)) throw new Error('wanted the token form')
    await app.records.write([{ remove: { pk: 'org#org_1', sk: 'thing#thing_00003' }, expect: 'any' }])
    expect(await list({ page_size: 3, page_token: body.next_page_token })).toMatchObject({ body: { items: newest(3) } })
  })
  test.each([
    'nonsense',
    Buffer.from('{"list":1}').toString('base64url'),
    Buffer.from('null').toString('base64url'),
  ])('refuse the token %s', async (page_token) => {
    await expect(list({ page_token })).rejects.toMatchObject({
      code: 'invalid_request',
      extras: { errors: [{ pointer: 'query/page_token' }] },
    })
  })
  test('refuse a token of another filter', async () => {
    await fill(5)
    const { body } = await list({ page_size: 2 }, { colour: 'red' })
    if (Array.isArray(body) || !('items' in body)) throw new Error('wanted the token form')
    await expect(list({ page_size: 2, page_token: body.next_page_token })).rejects.toMatchObject({ code: 'invalid_request' })
  })
  test('a forged position reaches nothing of another kind or organisation', async () => {
    await fill(3)
    await app.records.write([{ put: { pk: 'org#org_1', sk: 'zebra#1', body: { stripes: 12 } }, expect: 'absent' }])
    const forged = (after: string) => Buffer.from(JSON.stringify({ list: '["/things"]', after })).toString('base64url')
    expect(await list({ page_token: forged('thing#~') })).toMatchObject({ body: { items: newest(3) } })
    for (const after of ['zzz', 'a', 'thing', ''])
      await expect(list({ page_token: forged(after) }), after).rejects.toMatchObject({ code: 'invalid_request' })
  })
})

test('the forms exclude each other', async () => {
  await expect(list({ page: 1, page_size: 2 })).rejects.toMatchObject({ code: 'invalid_request' })
  await expect(list({ limit: 1, after: 'x' })).rejects.toMatchObject({ code: 'invalid_request' })
})

test('counts hold under concurrent writers of the same document kind', async () => {
  await fill(60)
  await Promise.all(
    Array.from({ length: 60 }, (_, at) => {
      const id = `thing_${String(at).padStart(5, '0')}`
      const from = at % 3 === 0 ? 'old' : 'new'
      return retryConflicts(async () =>
        app.records.write(
          await countChange(app, { organization_id: 'org_1', kind: 'thing', id, from, to: at % 2 === 0 ? 'gone' : undefined }),
        ),
      )
    }),
  )
  expect(await countsByStatus(app, 'org_1', 'thing')).toEqual({ gone: 30 })
  expect(await countChange(app, { organization_id: 'org_1', kind: 'thing', id: 'thing_1', from: 'new', to: 'new' })).toEqual([])
})

const afterOf = (link: string | undefined): string =>
  new URL(link?.match(/^<(.*)>; rel="next"$/)?.[1] ?? '', 'http://x').searchParams.get('after') ?? ''
