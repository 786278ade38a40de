import { expect } from 'vitest'
import type { Operation, Records } from '../../layers/core/ports/records.ts'
import { failure, freshPartition, put } from '../support/records.ts'
import type { RecordsTests } from './records.ts'

/** Several documents at once. */
export const transactionTests: RecordsTests = {
  'writes up to 25 operations at once': async ({ records }) => {
    const pk = freshPartition()
    const keys = Array.from({ length: 25 }, (_, at) => ({ pk, sk: `doc#${at}` }))
    const versions = await records.write(keys.map((key) => put(key, { sk: key.sk }, {}, 'absent')))
    expect(new Set(versions).size).toBe(25)
    for (const [at, key] of keys.entries()) expect((await records.get(key))?.version).toBe(versions[at])
  },

  'answers the versions of the puts, in order': async ({ records }) => {
    const pk = freshPartition()
    await records.write([put({ pk, sk: 'old' }, {})])
    const versions = await records.write([
      put({ pk, sk: 'b' }, {}),
      { remove: { pk, sk: 'old' }, expect: 'any' },
      put({ pk, sk: 'a' }, {}),
      { check: { pk, sk: 'other' }, expect: 'absent' },
      { check: { pk, sk: 'whatever' }, expect: 'any' },
    ])
    expect([(await records.get({ pk, sk: 'b' }))?.version, (await records.get({ pk, sk: 'a' }))?.version]).toEqual(versions)
    expect(await records.get({ pk, sk: 'old' })).toBeUndefined()
  },

  'does all or nothing, and names what was in the way': async ({ records, clock }) => {
    const pk = freshPartition()
    const [version = ''] = await records.write([put({ pk, sk: 'kept' }, { n: 1 })])
    await records.write([put({ pk, sk: 'late' }, {}, { expires_at: Math.floor(clock.now.getTime() / 1000) - 5 })])
    const fine: Operation[] = [
      put({ pk, sk: 'new' }, {}, {}, 'absent'),
      put({ pk, sk: 'kept' }, { n: 2 }, {}, { version }),
      put({ pk, sk: 'late' }, { again: true }, {}, 'absent'),
    ]
    const refused: Operation[][] = [
      [{ check: { pk, sk: 'missing' }, expect: 'present' }],
      [{ remove: { pk, sk: 'missing' }, expect: { version } }],
      [put({ pk, sk: 'missing' }, {}, {}, { version })],
      [
        { check: { pk, sk: 'missing' }, expect: 'present' },
        { check: { pk, sk: 'missing 2' }, expect: { version } },
      ],
    ]
    for (const wrong of refused) {
      const error = await failure('version_conflict', records.write([...fine, ...wrong]))
      expect(error.extras.facts).toEqual({ keys: wrong.map(keyOf) })
      expect(await records.get({ pk, sk: 'new' })).toBeUndefined()
      expect(await records.get({ pk, sk: 'kept' })).toMatchObject({ version, body: { n: 1 } })
    }
    await records.write(fine)
    expect((await records.query({ pk })).items.map((item) => item.body)).toEqual([{ n: 2 }, { again: true }, {}])
  },

  'checks the state before the write, not within it': async ({ records }) => {
    const pk = freshPartition()
    await records.write([put({ pk, sk: 'a' }, {}, {}, 'absent'), { check: { pk, sk: 'b' }, expect: 'absent' }])
    await failure(
      'version_conflict',
      records.write([
        { remove: { pk, sk: 'a' }, expect: 'any' },
        { check: { pk, sk: 'b' }, expect: 'present' },
      ]),
    )
    expect(await records.get({ pk, sk: 'a' })).toBeDefined()
  },

  'moves amounts between documents without losing any': async ({ records }) => {
    const pk = freshPartition()
    const accounts = ['a', 'b', 'c']
    await records.write(accounts.map((sk) => put({ pk, sk }, { amount: 100 })))
    const moves = Array.from(
      { length: 24 },
      (_, at) => [accounts[at % 3] ?? '', accounts[(at + 1 + (at % 2)) % 3] ?? ''] as const,
    )
    await Promise.all(moves.map(([from, to], at) => move(records, pk, from, to, at)))
    const { items } = await records.query({ pk })
    expect(items.reduce((sum, item) => sum + Number(item.body.amount), 0)).toBe(300)
    expect(items.reduce((sum, item) => sum + Number(item.body.moves ?? 0), 0)).toBe(48)
  },
}

const keyOf = (operation: Operation) => {
  const { pk, sk } = 'put' in operation ? operation.put : 'remove' in operation ? operation.remove : operation.check
  return { pk, sk }
}

/** Reads two documents and changes both on the versions read, until it works. */
const move = async (records: Records, pk: string, from: string, to: string, amount: number): Promise<void> => {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const [source, target] = await Promise.all([records.get({ pk, sk: from }), records.get({ pk, sk: to })])
    if (!source || !target) throw new Error('an account is gone')
    const change = (stored: typeof source, by: number) =>
      put(
        stored,
        { amount: Number(stored.body.amount) + by, moves: Number(stored.body.moves ?? 0) + 1 },
        {},
        { version: stored.version },
      )
    const done = await records.write([change({ ...source }, -amount), change({ ...target }, amount)]).then(
      () => true,
      async (error) => {
        await failure('version_conflict', Promise.reject(error))
        return false
      },
    )
    if (done) return
  }
  throw new Error('no move succeeded')
}
