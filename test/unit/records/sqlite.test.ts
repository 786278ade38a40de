import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type SqliteRecords, sqliteRecords } from '../../../layers/records/sqlite.ts'
import { failure, put } from '../../support/records.ts'

const start = new Date('2026-11-20T10:00:00Z')
const seconds = (date: Date) => Math.floor(date.getTime() / 1000)

describe('SQLite records, beyond the contract', () => {
  let folder: string
  let clock: { now: Date }
  let open: SqliteRecords[]
  const at = (name = 'records.sqlite') => join(folder, name)
  const openRecords = (path = at()): SqliteRecords => {
    const records = sqliteRecords({ path, now: () => clock.now })
    open.push(records)
    return records
  }
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sqlite-'))
    clock = { now: start }
    open = []
  })
  afterEach(async () => {
    for (const records of open) records.close()
    await rm(folder, { recursive: true })
  })

  it('tells every change in order, as DynamoDB streams do', async () => {
    const records = openRecords()
    const key = { pk: 'org#1', sk: 'model#1' }
    const lookup = { pk: 'name#x', sk: 'model#1' }
    const [first] = await records.write([put(key, { n: 1 }, { lookup })])
    const [second] = await records.write([put(key, { n: 2 })])
    await records.write([{ remove: key, expect: 'any' }])
    await records.write([{ remove: key, expect: 'any' }])
    const [one, two, three, ...more] = records.changes(0)
    const at_ms = start.getTime()
    expect(one).toEqual({ sequence: 1, kind: 'insert', key, new: { ...key, version: first, body: { n: 1 }, lookup }, at: at_ms })
    expect(two).toMatchObject({
      sequence: 2,
      kind: 'modify',
      key,
      old: { version: first, lookup },
      new: { version: second, body: { n: 2 } },
    })
    expect(two?.new).not.toHaveProperty('lookup')
    expect(three).toEqual({ sequence: 3, kind: 'remove', key, old: { ...key, version: second, body: { n: 2 } }, at: at_ms })
    expect(more).toEqual([])
    expect(records.changes(1, 1)).toEqual([two])
  })

  it('tells nothing of a write that was refused', async () => {
    const records = openRecords()
    const writes = [
      records.write([put({ pk: 'a', sk: '1' }, {}), put({ pk: 'a', sk: '2' }, {})]),
      records.write([put({ pk: 'a', sk: '3' }, {}), { check: { pk: 'a', sk: 'missing' }, expect: 'present' }]),
      records.write([put({ pk: 'a', sk: '1' }, {}, {}, 'absent')]),
      records.write([put({ pk: 'a', sk: '4' }, {})]),
    ]
    const outcomes = await Promise.allSettled(writes)
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled'])
    expect(records.changes(0).map(({ key }) => key.sk)).toEqual(['1', '2', '4'])
  })

  it('shows a document that expired as removed, and its successor as new', async () => {
    const records = openRecords()
    await records.write([put({ pk: 'a', sk: 'x' }, { n: 1 }, { expires_at: seconds(start) + 10 })])
    clock.now = new Date(start.getTime() + 10_000)
    await records.write([put({ pk: 'a', sk: 'x' }, { n: 2 }, {}, 'absent')])
    expect(records.changes(0).map(({ kind }) => kind)).toEqual(['insert', 'remove', 'insert'])
  })

  it('sweeps what expired and changes older than a day, and never counts a sequence again', async () => {
    const records = openRecords()
    await records.write([put({ pk: 'a', sk: 'short' }, {}, { expires_at: seconds(start) + 1 }), put({ pk: 'a', sk: 'long' }, {})])
    clock.now = new Date(start.getTime() + 25 * 3600 * 1000)
    expect(records.sweep()).toEqual({ documents: 1, changes: 2 })
    expect(records.changes(0)).toMatchObject([{ sequence: 3, kind: 'remove', key: { sk: 'short' } }])
    expect(records.pruneChanges(3)).toBe(1)
    await records.write([put({ pk: 'a', sk: 'next' }, {})])
    expect(records.changes(0)).toMatchObject([{ sequence: 4 }])
  })

  it('says when something was committed', async () => {
    const records = openRecords()
    let commits = 0
    const stop = records.onCommit(() => {
      commits += 1
    })
    await Promise.all([1, 2, 3].map((n) => records.write([put({ pk: 'a', sk: String(n) }, {})])))
    expect(commits).toBe(1)
    stop()
    await records.write([put({ pk: 'a', sk: '4' }, {})])
    expect(commits).toBe(1)
  })

  it('keeps a second host off, until the first one closes', async () => {
    const first = openRecords()
    await first.write([put({ pk: 'a', sk: 'x' }, { kept: true })])
    expect(() => openRecords()).toThrow(/Another host is using .*AIDEPLOY_HOME/)
    first.close()
    await failure('unavailable', first.write([put({ pk: 'a', sk: 'x' }, {})]))
    expect((await openRecords().get({ pk: 'a', sk: 'x' }))?.body).toEqual({ kept: true })
  })

  it('acknowledges what was pending when it closes', async () => {
    const records = openRecords()
    const written = Array.from({ length: 500 }, (_, n) => records.write([put({ pk: 'a', sk: String(n) }, {})]))
    records.close()
    await Promise.all(written)
    expect((await openRecords().query({ pk: 'a', limit: 1000 })).items).toHaveLength(500)
  })

  it('writes a copy that opens by itself', async () => {
    const records = openRecords()
    const pending = records.write([put({ pk: 'a', sk: 'x' }, { n: 1 })])
    await records.backupTo(at('copy.sqlite'))
    await pending
    expect((await openRecords(at('copy.sqlite')).get({ pk: 'a', sk: 'x' }))?.body).toEqual({ n: 1 })
  })

  it('says that there is no room left, and loses nothing', async () => {
    const small = sqliteRecords({ path: at(), now: () => clock.now, max_bytes: 200_000 })
    open.push(small)
    await small.write([put({ pk: 'a', sk: 'x' }, { n: 1 })])
    const large = put({ pk: 'a', sk: 'large' }, { text: 'x'.repeat(300_000) })
    await failure('storage_full', small.write([large]))
    await small.write([put({ pk: 'a', sk: 'y' }, { n: 2 })])
    small.close()
    const records = openRecords()
    expect((await records.query({ pk: 'a' })).items.map((item) => item.body)).toEqual([{ n: 1 }, { n: 2 }])
    await records.write([large])
    expect(await records.get({ pk: 'a', sk: 'large' })).toBeDefined()
  })

  it('refuses a file of a newer version', async () => {
    openRecords().close()
    const db = new DatabaseSync(at())
    db.exec('pragma user_version = 99')
    db.close()
    expect(() => openRecords()).toThrow(/newer version \(schema 99/)
  })

  it('keeps its file to itself', async () => {
    openRecords()
    for (const name of ['records.sqlite', 'records.sqlite-wal']) expect((await stat(at(name))).mode & 0o077).toBe(0)
  })
})
