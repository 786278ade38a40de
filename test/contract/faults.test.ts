import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isPlatformError } from '../../layers/core/contract/errors.ts'
import type { Records } from '../../layers/core/ports/records.ts'
import { dynamodbRecords } from '../../layers/records/dynamodb.ts'
import { withTransactions } from '../support/dynalite-transactions.ts'
import { createRecordsTable, dynamoClient, startDynalite } from '../support/emulators.ts'
import { type Fault, type FaultyDynamodb, faults, faultyDynamodb, hastyDynamoClient } from '../support/faulty-dynamodb.ts'
import { failure, freshPartition, put, sortKeys } from '../support/records.ts'
import { seededRandom } from '../support/usage.ts'

/** Records on a table that answers late, wrongly or not at all. `plain` reaches the same table without faults. */
describe('records when DynamoDB misbehaves', () => {
  let server: FaultyDynamodb
  let records: Records
  let plain: Records
  const close: (() => Promise<void> | void)[] = []

  beforeAll(async () => {
    const behind = await withTransactions(await startDynalite())
    server = await faultyDynamodb(behind)
    close.push(server.stop)
    const over = (client: ReturnType<typeof dynamoClient>): Records => {
      close.unshift(() => client.destroy())
      return dynamodbRecords({ table: 'records', client: () => client, now: () => new Date() })
    }
    const direct = dynamoClient(behind.endpoint)
    await createRecordsTable(direct, 'records')
    plain = over(direct)
    records = over(hastyDynamoClient(server.endpoint))
  })
  afterAll(async () => {
    for (const each of close) await each()
  })

  const at = (how: Fault, ...numbers: number[]) => server.misbehave((_, number) => (numbers.includes(number) ? how : undefined))
  const outcome = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'done',
      (error: unknown) => (isPlatformError(error) ? error.code : String(error)),
    )

  /** Everything the port can be asked to do, from a known state to one that can be told from it. */
  const verbs = {
    get: async (pk: string) => expect((await records.get({ pk, sk: 'a' }))?.body).toEqual({ n: 1 }),
    query: async (pk: string) => expect(sortKeys(await records.query({ pk }))).toEqual(['a', 'b']),
    'query in pages': async (pk: string) => {
      const first = await records.query({ pk, limit: 1 })
      expect(first.cursor).toBeDefined()
      expect(sortKeys(await records.query({ pk, limit: 1, cursor: first.cursor ?? '' }))).toEqual(['b'])
    },
    'check of one': async (pk: string) =>
      expect(await records.write([{ check: { pk, sk: 'a' }, expect: 'present' }])).toEqual([]),
  }
  it.each(Object.keys(verbs))('%s is right whatever happens to each of its calls', async (name) => {
    const verb = verbs[name as keyof typeof verbs]
    const pk = freshPartition()
    await plain.write([put({ pk, sk: 'a' }, { n: 1 }), put({ pk, sk: 'b' }, { n: 2 })])
    at('fail')
    // The first use opens connections, which on a busy machine may take longer than the adapter waits before it asks again.
    await verb(pk)
    at('fail')
    await verb(pk)
    const calls = server.calls.length
    for (const how of faults)
      for (let number = 0; number < calls; number += 1) {
        at(how, number)
        await verb(pk)
        expect(server.calls.length, `${how} at ${number}`).toBe(calls + 1)
      }
    server.misbehave(() => 'fail')
    await failure('unavailable', verb(pk))
  })

  /** Conditional writes: each is given a fresh partition with `a` = 1 and answers what to expect there once it is done. */
  const writes: Record<string, (pk: string, version: string) => { work: Promise<unknown>; after: Record<string, number> }> = {
    'a new document': (pk) => ({
      work: records.write([put({ pk, sk: 'b' }, { n: 2 }, {}, 'absent')]),
      after: { a: 1, b: 2 },
    }),
    'a change': (pk, version) => ({ work: records.write([put({ pk, sk: 'a' }, { n: 2 }, {}, { version })]), after: { a: 2 } }),
    'a change without condition': (pk) => ({ work: records.write([put({ pk, sk: 'a' }, { n: 2 })]), after: { a: 2 } }),
    'a removal without condition': (pk) => ({ work: records.write([{ remove: { pk, sk: 'a' }, expect: 'any' }]), after: {} }),
    'a transaction': (pk, version) => ({
      work: records.write([put({ pk, sk: 'a' }, { n: 2 }, {}, { version }), put({ pk, sk: 'b' }, { n: 2 }, {}, 'absent')]),
      after: { a: 2, b: 2 },
    }),
    'a transaction that removes': (pk, version) => ({
      work: records.write([{ remove: { pk, sk: 'a' }, expect: { version } }, put({ pk, sk: 'b' }, { n: 2 }, {}, 'absent')]),
      after: { b: 2 },
    }),
  }
  const start = async () => {
    const pk = freshPartition()
    const [version = ''] = await plain.write([put({ pk, sk: 'a' }, { n: 1 })])
    return { pk, version }
  }
  const state = async (pk: string) => Object.fromEntries((await plain.query({ pk })).items.map(({ sk, body }) => [sk, body.n]))

  it.each(faults)('writes are done once after one call that ended in %s', async (how) => {
    for (const [name, write] of Object.entries(writes)) {
      const { pk, version } = await start()
      at(how, 0)
      const { work, after } = write(pk, version)
      expect(await outcome(work), name).toBe('done')
      expect(await state(pk), name).toEqual(after)
    }
  })

  it.each(faults)('writes whose every call ends in %s are absent, or found done when only the answers were lost', async (how) => {
    const begun = await Promise.all(Object.entries(writes).map(async ([name, write]) => ({ name, write, ...(await start()) })))
    server.misbehave((operation) => (/Put|Delete|Transact/.test(operation) ? how : undefined))
    const is_done = !['throttle', 'fail', 'hang'].includes(how)
    await Promise.all(
      begun.map(async ({ name, write, pk, version }) => {
        const { work, after } = write(pk, version)
        const said = await outcome(work)
        expect(await state(pk), name).toEqual(is_done ? after : { a: 1 })
        // A removal leaves nothing that could tell whose it was.
        expect(said, name).toBe(is_done && !name.startsWith('a removal') ? 'done' : 'unavailable')
      }),
    )
  })

  it('finds a write done whose answer was lost before the table was throttled for a while', async () => {
    for (const name of ['a new document', 'a change', 'a transaction', 'a transaction that removes']) {
      const { pk, version } = await start()
      server.misbehave((_, number) => (number === 0 ? 'lose' : number < 4 ? 'throttle' : undefined))
      const { work, after } = writes[name]?.(pk, version) ?? { work: Promise.reject(new Error(name)), after: {} }
      expect(await outcome(work), name).toBe('done')
      expect(server.calls.length, name).toBeGreaterThan(4)
      expect(await state(pk), name).toEqual(after)
    }
  })

  it('does not call a conflict what may be its own write, overwritten since', async () => {
    const { pk, version } = await start()
    let tries = 0
    const overtaken = hastyDynamoClient(server.endpoint)
    overtaken.middlewareStack.add(
      (next) => async (args) => {
        // The first try had its effect unheard; before the second one somebody else writes over it.
        tries += 1
        if (tries === 2) await plain.write([put({ pk, sk: 'a' }, { n: 9 })])
        return next(args)
      },
      { step: 'finalizeRequest', priority: 'low', name: 'overtaken' },
    )
    const own = dynamodbRecords({ table: 'records', client: () => overtaken, now: () => new Date() })
    at('lose', 0)
    await failure('unavailable', own.write([put({ pk, sk: 'a' }, { n: 2 }, {}, { version })]))
    overtaken.destroy()
    expect(await state(pk)).toEqual({ a: 9 })
  })

  it('still calls a conflict what was refused before somebody else was first', async () => {
    const { pk, version } = await start()
    await plain.write([put({ pk, sk: 'a' }, { n: 9 })])
    at('throttle', 0, 1)
    await failure('version_conflict', records.write([put({ pk, sk: 'a' }, { n: 2 }, {}, { version })]))
    expect(await state(pk)).toEqual({ a: 9 })
  })

  /** Three writers on one counter, by single puts and by transactions with a receipt; `ids` holds every increment that had its effect. */
  const race = async (seed: number, rounds: number) => {
    const random = seededRandom(seed)
    const pk = freshPartition()
    const reported = { done: new Set<string>(), refused: new Set<string>() }
    let next = 0
    const attempt = async (id: string) => {
      const stored = await records.get({ pk, sk: 'counter' })
      const ids = (stored?.body.ids ?? []) as string[]
      if (ids.includes(id)) return
      const counter = put(
        { pk, sk: 'counter' },
        { n: ids.length + 1, ids: [...ids, id] },
        {},
        stored ? { version: stored.version } : 'absent',
      )
      const receipt = put({ pk, sk: `receipt#${id}` }, { id }, {}, 'absent')
      await records.write(id.endsWith('t') ? [counter, receipt] : [counter])
    }
    const writer = async () => {
      while (next < rounds) {
        const id = `${next++}${random() < 0.4 ? 't' : 's'}`
        const said = await outcome(attempt(id))
        if (said === 'done') reported.done.add(id)
        else if (said === 'version_conflict') reported.refused.add(id)
        else expect(said).toBe('unavailable')
      }
    }
    await Promise.all([writer(), writer(), writer()])
    return { pk, reported }
  }
  const judge = async ({ pk, reported }: Awaited<ReturnType<typeof race>>) => {
    const { items } = await plain.query({ pk, limit: 1000 })
    const counter = items.find(({ sk }) => sk === 'counter')?.body ?? { n: 0, ids: [] }
    const ids = counter.ids as string[]
    expect(counter.n).toBe(ids.length)
    expect(new Set(ids).size).toBe(ids.length)
    expect([...reported.done].filter((id) => !ids.includes(id))).toEqual([])
    expect([...reported.refused].filter((id) => ids.includes(id))).toEqual([])
    const receipts = items.flatMap(({ sk }) => (sk.startsWith('receipt#') ? [sk.slice('receipt#'.length)] : []))
    expect(receipts.sort()).toEqual(ids.filter((id) => id.endsWith('t')).sort())
    return reported.done.size
  }

  it.each([
    [0.01, 2],
    [0.1, 4],
    [0.5, 4],
  ])('loses and doubles no increment of three writers at a fault rate of %d', async (rate, runs) => {
    const random = seededRandom(rate * 1000)
    server.misbehave(() => (random() < rate ? faults[Math.floor(random() * faults.length)] : undefined))
    let done = 0
    for (let seed = 0; seed < runs; seed += 2) {
      const some = Array.from({ length: Math.min(2, runs - seed) }, (_, at) => race(seed + at, 40))
      const races = await Promise.all(some)
      for (const each of races) done += await judge(each)
    }
    expect(done).toBeGreaterThan(runs)
  })
})
