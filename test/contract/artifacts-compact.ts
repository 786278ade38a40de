import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { bytesFrom, bytesOf, mebibyte, sha256, streamOf } from '../support/artifacts.ts'
import { failure } from '../support/records.ts'
import type { ArtifactsUnderTest } from './artifacts.ts'

/** As compressible as weights of a model are not: half of it repeats. */
export const compressible = (size_bytes: number, seed = 1): Buffer => {
  const bytes = bytesOf(size_bytes, seed)
  for (let at = 0; at + 1000 <= size_bytes; at += 2000) bytes.fill(at % 251, at, at + 1000)
  return bytes
}

const half = compressible(300_003)
const small = compressible(100_003)
const large = compressible(9 * mebibyte + 12_345)

export const compactTests = (under: () => ArtifactsUnderTest): void => {
  it('keeps in less room what can be, and nobody notices', async () => {
    const { artifacts, leftovers } = under()
    await artifacts.put('compact/it', streamOf(large))
    const before = sha256(large)
    const first = await artifacts.compact('compact/it', { sha256: before })
    expect(first).toMatchObject({ size_bytes: large.byteLength, form: 'compressed' })
    expect(first.stored_bytes).toBeLessThan(large.byteLength * 0.8)
    expect(await artifacts.compact('compact/it')).toEqual(first)
    expect(await artifacts.stat('compact/it')).toEqual({ size_bytes: large.byteLength })
    expect(await artifacts.list('compact/')).toEqual(['compact/it'])
    expect(sha256(await bytesFrom(await artifacts.read('compact/it')))).toBe(before)
    const file = await artifacts.asFile('compact/it')
    expect(sha256(await readFile(file.path))).toBe(before)
    await file.release()
    expect(await leftovers()).toBe(0)
    expect(await artifacts.expand('compact/it')).toEqual({
      size_bytes: large.byteLength,
      stored_bytes: large.byteLength,
      form: 'plain',
    })
    expect((await artifacts.expand('compact/it')).form).toBe('plain')
    expect(sha256(await bytesFrom(await artifacts.read('compact/it')))).toBe(before)
    expect(await leftovers()).toBe(0)
  })

  it('reads ranges of what is compressed', async () => {
    const { artifacts } = under()
    await artifacts.put('compact/range', streamOf(large))
    await artifacts.compact('compact/range')
    const frame = 4 * mebibyte
    const last = large.byteLength - 1
    for (const [start, end] of [
      [0, 0],
      [frame - 1, frame - 1],
      [frame, frame],
      [frame - 10, frame + 10],
      [frame + 5, 2 * frame + 5],
      [last, last],
      [last - 99, last + 5000],
      [0, last],
    ] as const)
      expect(sha256(await bytesFrom(await artifacts.read('compact/range', { start, end })))).toBe(
        sha256(large.subarray(start, end + 1)),
      )
    for (const [start, end] of [
      [large.byteLength, large.byteLength + 1],
      [-1, 5],
      [5, 4],
    ] as const)
      await failure('invalid_request', artifacts.read('compact/range', { start, end }))
  })

  it('leaves alone what compressing saves little of, and what is empty', async () => {
    const { artifacts, leftovers } = under()
    for (const [key, bytes] of [
      ['compact/empty', Buffer.alloc(0)],
      ['compact/one', Buffer.from('x')],
      ['compact/noise', bytesOf(200_000)],
    ] as const) {
      await artifacts.put(key, streamOf(bytes))
      for (const cold of [false, true]) {
        const info = { size_bytes: bytes.byteLength, stored_bytes: bytes.byteLength, form: 'plain' }
        expect(await artifacts.compact(key, { sha256: sha256(bytes), cold })).toEqual(info)
        expect(await bytesFrom(await artifacts.read(key))).toEqual(bytes)
      }
    }
    expect(await leftovers()).toBe(0)
  })

  it('touches nothing whose bytes are not the ones that were stored', async () => {
    const { artifacts, leftovers } = under()
    await artifacts.put('compact/other', streamOf(half))
    await failure('conflict', artifacts.compact('compact/other', { sha256: sha256(large) }))
    expect(await bytesFrom(await artifacts.read('compact/other'))).toEqual(half)
    await failure('not_found', artifacts.compact('compact/never'))
    await failure('not_found', artifacts.expand('compact/never'))
    await failure('invalid_request', artifacts.compact('../x'))
    expect(await leftovers()).toBe(0)
  })

  it('archives and brings back', async () => {
    const { artifacts } = under()
    await artifacts.put('compact/cold', streamOf(half))
    const cold = await artifacts.compact('compact/cold', { cold: true, sha256: sha256(half) })
    expect(cold.form).toBe('compressed')
    expect(await bytesFrom(await artifacts.read('compact/cold', { start: 5, end: 1004 }))).toEqual(half.subarray(5, 1005))
    await artifacts.expand('compact/cold')
    expect(await bytesFrom(await artifacts.read('compact/cold'))).toEqual(half)
  })

  it('gives whole bytes to who reads while it is rewritten, again and again', async () => {
    const { artifacts, leftovers } = under()
    await artifacts.put('compact/busy', streamOf(small))
    const wanted = sha256(small)
    let is_over = false
    const readers = Array.from({ length: 2 }, async (_, at) => {
      let reads = 0
      while (!is_over) {
        const range = { start: at * 1000, end: 50_000 }
        expect(sha256(await bytesFrom(await artifacts.read('compact/busy')))).toBe(wanted)
        expect(await bytesFrom(await artifacts.read('compact/busy', range))).toEqual(small.subarray(range.start, range.end + 1))
        expect(await artifacts.stat('compact/busy')).toEqual({ size_bytes: small.byteLength })
        reads += 1
      }
      return reads
    })
    try {
      for (let round = 0; round < 4; round += 1) {
        await artifacts.compact('compact/busy', { cold: round % 2 === 1 })
        await artifacts.expand('compact/busy')
      }
    } finally {
      is_over = true
    }
    expect(Math.min(...(await Promise.all(readers)))).toBeGreaterThan(0)
    expect(await leftovers()).toBe(0)
  })

  it('is replaced and removed like any other', async () => {
    const { artifacts } = under()
    await artifacts.put('compact/again', streamOf(half))
    await artifacts.compact('compact/again')
    await artifacts.put('compact/again', streamOf(large))
    expect(sha256(await bytesFrom(await artifacts.read('compact/again')))).toBe(sha256(large))
    await artifacts.compact('compact/again')
    await artifacts.remove('compact/again')
    expect(await artifacts.stat('compact/again')).toBeUndefined()
    expect(await artifacts.list('compact/again')).toEqual([])
    await failure('not_found', artifacts.read('compact/again'))
  })
}
