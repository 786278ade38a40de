import fc from 'fast-check'
import { expect } from 'vitest'
import { JsonObject } from '../../layers/core/domain/json.ts'
import { failure, freshPartition, put } from '../support/records.ts'
import type { RecordsTests } from './records.ts'

const day_s = 24 * 3600

/** Single documents: versions, expectations, expiry, limits. */
export const documentTests: RecordsTests = {
  'answers a document as it was written': async ({ records }) => {
    const key = { pk: freshPartition(), sk: 'model#1' }
    expect(await records.get(key)).toBeUndefined()
    const more = { lookup: { pk: 'name#x', sk: 'a#1' }, worklist: { pk: 'jobs', sk: 'b#1' }, expires_at: 4_000_000_000 }
    const [version] = await records.write([put(key, { a: [1, { b: null }] }, more)])
    expect(await records.get(key)).toEqual({ ...key, version, body: { a: [1, { b: null }] }, ...more })
    await records.write([put(key, { bare: true })])
    const bare = await records.get(key)
    expect(bare).toEqual({ ...key, version: bare?.version, body: { bare: true } })
  },

  'keeps any JSON exactly': async ({ records }) => {
    const key = { pk: freshPartition(), sk: 'json' }
    const bodies = [
      {},
      { '': '' },
      { a: 0.1 + 0.2, b: 1e308, c: 5e-324, d: Number.MAX_SAFE_INTEGER },
      { '😀': '\u0000\u2028"\\' },
    ]
    for (const body of [
      ...bodies,
      ...fc.sample(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), { seed: 7, numRuns: 20 }),
    ]) {
      const wanted = JsonObject.parse(JSON.parse(JSON.stringify(body)))
      await records.write([put(key, wanted)])
      expect((await records.get(key))?.body).toEqual(wanted)
    }
  },

  'stores the body as it was when write was called, and answers copies': async ({ records }) => {
    const key = { pk: freshPartition(), sk: 'copy' }
    const body = { list: [1] }
    const written = records.write([put(key, body)])
    body.list.push(2)
    await written
    const first = await records.get(key)
    if (first) first.body.list = 'changed by a reader'
    expect((await records.get(key))?.body).toEqual({ list: [1] })
  },

  'gives the same body another version every time': async ({ records }) => {
    const key = { pk: freshPartition(), sk: 'same' }
    const versions = new Set<string | undefined>()
    for (let time = 0; time < 20; time += 1) versions.add((await records.write([put(key, { same: true })]))[0])
    expect(versions.size).toBe(20)
  },

  'creates only what is absent': async ({ records }) => {
    const key = { pk: freshPartition(), sk: 'once' }
    await records.write([put(key, { by: 'first' }, {}, 'absent')])
    const error = await failure('version_conflict', records.write([put(key, { by: 'second' }, {}, 'absent')]))
    expect(error.extras.facts).toEqual({ keys: [key] })
    expect((await records.get(key))?.body).toEqual({ by: 'first' })
  },

  'changes only the version that was read': async ({ records }) => {
    const key = { pk: freshPartition(), sk: 'versioned' }
    const [first = ''] = await records.write([put(key, { n: 1 })])
    const [second = ''] = await records.write([put(key, { n: 2 }, {}, { version: first })])
    await failure('version_conflict', records.write([put(key, { n: 3 }, {}, { version: first })]))
    await failure('version_conflict', records.write([{ remove: key, expect: { version: first } }]))
    await failure('version_conflict', records.write([put({ ...key, sk: 'never there' }, {}, {}, { version: second })]))
    expect(await records.get(key)).toMatchObject({ version: second, body: { n: 2 } })
  },

  'refuses an old version after the document was removed and made again': async ({ records }) => {
    const key = { pk: freshPartition(), sk: 'aba' }
    const [first = ''] = await records.write([put(key, { same: 1 }, {}, 'absent')])
    await records.write([{ remove: key, expect: { version: first } }])
    expect(await records.get(key)).toBeUndefined()
    await records.write([put(key, { same: 1 }, {}, 'absent')])
    await failure('version_conflict', records.write([put(key, { same: 2 }, {}, { version: first })]))
  },

  'removes what is there, and what is not, when anything will do': async ({ records }) => {
    const key = { pk: freshPartition(), sk: 'gone' }
    expect(await records.write([{ remove: key, expect: 'any' }])).toEqual([])
    await records.write([put(key, {})])
    await failure('version_conflict', records.write([{ remove: key, expect: 'absent' }]))
    await records.write([{ remove: key, expect: 'any' }])
    expect(await records.get(key)).toBeUndefined()
  },

  'checks without changing': async ({ records }) => {
    const key = { pk: freshPartition(), sk: 'checked' }
    await failure('version_conflict', records.write([{ check: key, expect: 'present' }]))
    await records.write([{ check: key, expect: 'absent' }])
    const [version = ''] = await records.write([put(key, { kept: true })])
    expect(await records.write([{ check: key, expect: { version } }])).toEqual([])
    await records.write([{ check: key, expect: 'present' }])
    await records.write([{ check: key, expect: 'any' }])
    await failure('version_conflict', records.write([{ check: key, expect: 'absent' }]))
    await failure('version_conflict', records.write([{ check: key, expect: { version: 'another' } }]))
    expect(await records.get(key)).toMatchObject({ version, body: { kept: true } })
  },

  'counts an expired document as absent': async ({ records, clock }) => {
    const key = { pk: freshPartition(), sk: 'expiring' }
    const expires_at = Math.floor(clock.now.getTime() / 1000) + day_s
    const [version = ''] = await records.write([put(key, { old: true }, { expires_at })])
    await failure('version_conflict', records.write([put(key, {}, {}, 'absent')]))
    clock.now = new Date((expires_at - 1) * 1000)
    expect(await records.get(key)).toMatchObject({ expires_at })
    clock.now = new Date(expires_at * 1000)
    expect(await records.get(key)).toBeUndefined()
    await failure('version_conflict', records.write([put(key, {}, {}, { version })]))
    await failure('version_conflict', records.write([{ check: key, expect: 'present' }]))
    await records.write([{ check: key, expect: 'absent' }])
    await records.write([put(key, { new: true }, {}, 'absent')])
    expect((await records.get(key))?.body).toEqual({ new: true })
  },

  'takes documents up to 350 kB and keys up to their limits': async ({ records }) => {
    const pk = freshPartition()
    const largest = { text: 'é'.repeat((350_000 - '{"text":""}'.length - 1) / 2) }
    await records.write([put({ pk, sk: 'large' }, largest)])
    expect((await records.get({ pk, sk: 'large' }))?.body).toEqual(largest)
    const error = await failure('invalid_request', records.write([put({ pk, sk: 'larger' }, { text: `${largest.text}xx` })]))
    expect(error.message).toContain('350001')
    await records.write([put({ pk: pk.padEnd(2048, 'x'), sk: 'é'.repeat(512) }, {})])
    expect(await records.get({ pk: pk.padEnd(2048, 'x'), sk: 'é'.repeat(512) })).toBeDefined()
  },

  'refuses keys that no store can tell apart, and writes beyond the limits': async ({ records }) => {
    const pk = freshPartition()
    const wrong = [
      { pk, sk: '' },
      { pk: '', sk: 'x' },
      { pk, sk: 'lone \ud800' },
      { pk, sk: 'nul \0' },
      { pk, sk: `${'é'.repeat(512)}x` },
    ]
    for (const key of wrong) {
      await failure('invalid_request', records.write([put(key, {})]))
      await failure('invalid_request', records.get(key))
    }
    await failure('invalid_request', records.write([put({ pk, sk: 'x' }, {}, { lookup: { pk: '', sk: 'x' } })]))
    await failure('invalid_request', records.write([put({ pk, sk: 'x' }, {}, { expires_at: 1.5 })]))
    await failure('invalid_request', records.write([]))
    const key = { pk, sk: 'twice' }
    await failure('invalid_request', records.write([put(key, {}), { remove: key, expect: 'any' }]))
    const many = Array.from({ length: 26 }, (_, at) => put({ pk, sk: String(at) }, {}))
    await failure('invalid_request', records.write(many))
    const heavy = Array.from({ length: 11 }, (_, at) => put({ pk, sk: String(at) }, { text: 'x'.repeat(340_000) }))
    await failure('invalid_request', records.write(heavy))
    expect((await records.query({ pk })).items).toEqual([])
  },

  'loses no increment of many at once': async ({ records }) => {
    const key = { pk: freshPartition(), sk: 'counter' }
    await records.write([put(key, { n: 0 })])
    const increment = async (): Promise<void> => {
      const found = await records.get(key)
      if (!found) throw new Error('the counter is gone')
      const next = records.write([put(key, { n: Number(found.body.n) + 1 }, {}, { version: found.version })])
      if (await next.then(Boolean, (error) => failure('version_conflict', Promise.reject(error)).then(() => false))) return
      return increment()
    }
    await Promise.all(Array.from({ length: 12 }, increment))
    expect((await records.get(key))?.body).toEqual({ n: 12 })
  },

  'lets exactly one of many create a document': async ({ records }) => {
    const key = { pk: freshPartition(), sk: 'race' }
    const tries = await Promise.allSettled(Array.from({ length: 20 }, (_, by) => records.write([put(key, { by }, {}, 'absent')])))
    const winners = tries.flatMap((result, by) => (result.status === 'fulfilled' ? [by] : []))
    expect(winners).toHaveLength(1)
    expect((await records.get(key))?.body).toEqual({ by: winners[0] })
  },
}
