import { expect } from 'vitest'
import type { Query } from '../../layers/core/ports/records.ts'
import { allPages, failure, freshPartition, put, seed, sortKeys } from '../support/records.ts'
import type { RecordsTests } from './records.ts'

const numbered = (count: number): string[] => Array.from({ length: count }, (_, at) => `doc#${String(at).padStart(3, '0')}`)

/** Queries: order, bounds, pages, indexes. */
export const pageTests: RecordsTests = {
  'orders by sort key, both ways, within inclusive bounds': async ({ records }) => {
    const pk = freshPartition()
    await seed(records, pk, ['b', 'd', 'a', 'c', 'e'])
    await seed(records, `${pk}x`, ['b'])
    expect(sortKeys(await records.query({ pk }))).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(sortKeys(await records.query({ pk, order: 'desc' }))).toEqual(['e', 'd', 'c', 'b', 'a'])
    expect(sortKeys(await records.query({ pk, from: 'b', to: 'd' }))).toEqual(['b', 'c', 'd'])
    expect(sortKeys(await records.query({ pk, from: 'bb' }))).toEqual(['c', 'd', 'e'])
    expect(sortKeys(await records.query({ pk, to: 'bb', order: 'desc' }))).toEqual(['b', 'a'])
    expect(sortKeys(await records.query({ pk, from: 'c', limit: 1 }))).toEqual(['c'])
    expect(await records.query({ pk, from: 'd', to: 'b' })).toEqual({ items: [] })
    expect(await records.query({ pk, to: '' })).toEqual({ items: [] })
    expect(sortKeys(await records.query({ pk, from: '' }))).toHaveLength(5)
  },

  'orders keys by their UTF-8 bytes': async ({ records }) => {
    const pk = freshPartition()
    // By UTF-16 units, as JavaScript compares, the emoji would come before the last two.
    const ordered = ['#', 'Z', 'a', 'a#', 'aa', 'z', 'é', '中', '\ue000', '～', '😀']
    await seed(records, pk, ordered.toReversed())
    expect(sortKeys(await records.query({ pk }))).toEqual(ordered)
  },

  'takes bounds by their UTF-8 bytes': async ({ records }) => {
    const pk = freshPartition()
    await seed(records, pk, ['a', '\ue000', '～', '😀'])
    expect(sortKeys(await records.query({ pk, from: '\ue000', to: '😀' }))).toEqual(['\ue000', '～', '😀'])
    expect(await records.query({ pk, from: '😀', to: '～' })).toEqual({ items: [] })
  },

  'answers 100 documents unless told otherwise': async ({ records }) => {
    const pk = freshPartition()
    await seed(records, pk, numbered(101))
    const page = await records.query({ pk })
    expect(page.items).toHaveLength(100)
    expect(page.cursor).toBeTypeOf('string')
    expect((await records.query({ pk, limit: 101 })).cursor).toBeUndefined()
    for (const limit of [0, -1, 1.5, 1001, Number.NaN]) await failure('invalid_request', records.query({ pk, limit }))
  },

  'gives every document once over all pages': async ({ records }) => {
    const pk = freshPartition()
    const keys = numbered(13)
    await seed(records, pk, keys)
    for (const limit of [1, 4, 13]) {
      const pages = await allPages(records, { pk, limit })
      expect(pages.flatMap(sortKeys)).toEqual(keys)
      expect(pages).toHaveLength(Math.ceil(13 / limit))
      const back = await allPages(records, { pk, limit, order: 'desc', from: 'doc#002', to: 'doc#010' })
      expect(back.flatMap(sortKeys)).toEqual(keys.slice(2, 11).toReversed())
    }
  },

  'fills pages although documents between have expired': async ({ records, clock }) => {
    const pk = freshPartition()
    const past = Math.floor(clock.now.getTime() / 1000) - 1
    await seed(records, pk, numbered(12), (sk) => (Number(sk.slice(4)) % 3 === 0 ? {} : { expires_at: past }))
    const pages = await allPages(records, { pk, limit: 2 })
    expect(pages.map(sortKeys)).toEqual([
      ['doc#000', 'doc#003'],
      ['doc#006', 'doc#009'],
    ])
  },

  'goes on where a page ended, whatever happened meanwhile': async ({ records }) => {
    const pk = freshPartition()
    await seed(records, pk, ['a', 'c', 'e', 'g'])
    const query: Query = { pk, limit: 2 }
    const { cursor = '' } = await records.query(query)
    await records.write([{ remove: { pk, sk: 'c' }, expect: 'any' }])
    await seed(records, pk, ['b', 'd'])
    expect(sortKeys(await records.query({ ...query, cursor }))).toEqual(['d', 'e'])
  },

  'takes a cursor for the query it came from only': async ({ records }) => {
    const pk = freshPartition()
    await seed(records, pk, ['a', 'b', 'c'], (sk) => ({ lookup: { pk, sk } }))
    const { cursor = '' } = await records.query({ pk, limit: 1 })
    const others: Query[] = [{ pk: `${pk}x` }, { pk, order: 'desc' }, { pk, from: 'a' }, { pk, to: 'c' }, { pk, index: 'lookup' }]
    for (const other of others) await failure('bad_request', records.query({ ...other, cursor }))
    for (const forged of ['', 'x', `${cursor}x`, Buffer.from('[]').toString('base64url')])
      await failure('bad_request', records.query({ pk, cursor: forged }))
    expect(sortKeys(await records.query({ pk, limit: 2, cursor }))).toEqual(['b', 'c'])
  },

  'finds documents of all partitions through an index': async ({ records }) => {
    const [one, two, name] = [freshPartition(), freshPartition(), freshPartition()]
    await records.write([
      put({ pk: one, sk: 'x' }, { n: 1 }, { lookup: { pk: name, sk: 'b#1' }, worklist: { pk: `${name}w`, sk: 'z#1' } }),
    ])
    await records.write([put({ pk: two, sk: 'x' }, { n: 2 }, { lookup: { pk: name, sk: 'a#2' } })])
    await records.write([put({ pk: two, sk: 'y' }, { n: 3 })])
    const found = await records.query({ index: 'lookup', pk: name })
    expect(found.items.map((item) => item.body.n)).toEqual([2, 1])
    expect(found.items[1]).toEqual(await records.get({ pk: one, sk: 'x' }))
    const work = await records.query({ index: 'worklist', pk: `${name}w` })
    expect(work.items.map((item) => item.body.n)).toEqual([1])
  },

  'keeps indexes in step with their documents': async ({ records, clock }) => {
    const [pk, name] = [freshPartition(), freshPartition()]
    const lookup = (sk: string) => ({ lookup: { pk: name, sk } })
    await records.write([put({ pk, sk: 'x' }, {}, lookup('old#x'))])
    await records.write([put({ pk, sk: 'x' }, {}, lookup('new#x'))])
    await records.write([put({ pk, sk: 'gone' }, {}, lookup('gone#'))])
    await records.write([{ remove: { pk, sk: 'gone' }, expect: 'any' }])
    await records.write([put({ pk, sk: 'left' }, {}, lookup('left#'))])
    await records.write([put({ pk, sk: 'left' }, {})])
    await records.write([put({ pk, sk: 'late' }, {}, { ...lookup('late#'), expires_at: Math.floor(clock.now.getTime() / 1000) })])
    const found = await records.query({ index: 'lookup', pk: name })
    expect(found.items.map((item) => item.lookup?.sk)).toEqual(['new#x'])
  },

  'pages through an index in its own order': async ({ records }) => {
    const [pk, list] = [freshPartition(), freshPartition()]
    const keys = numbered(7)
    await seed(records, pk, keys, (sk) => ({ worklist: { pk: list, sk: `at-${9 - Number(sk.slice(4))}#${sk}` } }))
    const query: Query = { index: 'worklist', pk: list, limit: 3 }
    expect((await allPages(records, query)).map(sortKeys)).toEqual([
      keys.slice(4).toReversed(),
      keys.slice(1, 4).toReversed(),
      keys.slice(0, 1),
    ])
    expect((await allPages(records, { ...query, order: 'desc', to: `at-8#${keys[1]}` })).flatMap(sortKeys)).toEqual(keys.slice(1))
  },
}
