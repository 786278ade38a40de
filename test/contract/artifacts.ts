import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Artifacts, Compaction } from '../../layers/core/ports/artifacts.ts'
import { brokenStream, bytesFrom, bytesOf, mebibyte, sha256, streamOf } from '../support/artifacts.ts'
import { failure } from '../support/records.ts'
import { compactTests } from './artifacts-compact.ts'
import { uploadTests } from './artifacts-uploads.ts'

export interface ArtifactsUnderTest {
  artifacts: Artifacts & Compaction
  /** How many things an upload or put that is over has left behind: temporary files, open uploads. */
  leftovers(): Promise<number>
  close(): Promise<void>
}

const small = bytesOf(1000)
const large = bytesOf(20 * mebibyte + 12_345)

/** What an emulator lacks; these tests are left out there, with the reason. */
export interface Difference {
  reason: string
  tests: readonly string[]
}

/** The contract of the artifacts port. */
export const artifactsContract = (
  name: string,
  open: () => Promise<ArtifactsUnderTest>,
  differences: readonly Difference[] = [],
): void => {
  describe(`artifacts ${name}`, () => {
    let under: ArtifactsUnderTest
    beforeEach(({ task, skip }) => {
      const difference = differences.find(({ tests }) => tests.includes(task.name))
      if (difference) skip(difference.reason)
    })
    beforeAll(async () => {
      under = await open()
    })
    afterAll(() => under?.close())
    objectTests(() => under)
    uploadTests(() => under)
    compactTests(() => under)
  })
}

const objectTests = (under: () => ArtifactsUnderTest): void => {
  it('gives back what was put, whatever its size', async () => {
    const { artifacts, leftovers } = under()
    for (const [key, bytes] of Object.entries({
      'a/empty': Buffer.alloc(0),
      'a/small': small,
      'a/8-mebibytes': large.subarray(0, 8 * mebibyte),
      'a/large': large,
    })) {
      const info = await artifacts.put(key, streamOf(bytes))
      expect(info).toEqual({ size_bytes: bytes.byteLength, sha256: sha256(bytes) })
      expect(sha256(await bytesFrom(await artifacts.read(key)))).toBe(info.sha256)
      expect(await artifacts.stat(key)).toEqual({ size_bytes: bytes.byteLength })
    }
    expect(await leftovers()).toBe(0)
  })

  it('reads ranges of bytes', async () => {
    const { artifacts } = under()
    await artifacts.put('range/it', streamOf(small))
    for (const [start, end] of [
      [0, 0],
      [10, 19],
      [990, 999],
      [990, 5000],
    ] as const)
      expect(await bytesFrom(await artifacts.read('range/it', { start, end }))).toEqual(small.subarray(start, end + 1))
    for (const [start, end] of [
      [1000, 1001],
      [-1, 5],
      [5, 4],
    ] as const)
      await failure('invalid_request', artifacts.read('range/it', { start, end }))
  })

  it('says what is not there', async () => {
    const { artifacts } = under()
    await failure('not_found', artifacts.read('never/there'))
    await failure('not_found', artifacts.read('never/there', { start: 0, end: 1 }))
    await failure('not_found', artifacts.asFile('never/there'))
    expect(await artifacts.stat('never/there')).toBeUndefined()
    await artifacts.remove('never/there')
    expect(await artifacts.list('never/')).toEqual([])
  })

  it('replaces and removes', async () => {
    const { artifacts } = under()
    await artifacts.put('again', streamOf(small))
    await artifacts.put('again', streamOf(small.subarray(1)))
    expect(await bytesFrom(await artifacts.read('again'))).toEqual(small.subarray(1))
    await artifacts.remove('again')
    expect(await artifacts.stat('again')).toBeUndefined()
  })

  it('lists keys by prefix, in order, and lets one be the beginning of another', async () => {
    const { artifacts } = under()
    const keys = ['list/m1', 'list/m1/a', 'list/m1/b.onnx', 'list/m10/a', 'list/m1-x', 'list/.hidden/..a']
    for (const key of keys) await artifacts.put(key, streamOf(small))
    const ordered = keys.toSorted()
    expect(await artifacts.list('list/')).toEqual(ordered)
    expect(await artifacts.list('list/m1')).toEqual(ordered.filter((key) => key.startsWith('list/m1')))
    expect(await artifacts.list('list/m1/')).toEqual(['list/m1/a', 'list/m1/b.onnx'])
    expect(await artifacts.list('')).toEqual(expect.arrayContaining(keys))
    expect(await artifacts.list('lis/')).toEqual([])
    await failure('invalid_request', artifacts.list('../'))
  })

  it('refuses everything that is no key', async () => {
    const { artifacts } = under()
    const wrong = [
      '',
      '/',
      '/etc/passwd',
      'a/',
      'a//b',
      '.',
      '..',
      '../a',
      'a/../b',
      'a/./b',
      'a\\..\\b',
      'a\0b',
      'a b',
      'é',
      '%2e%2e/a',
      'a\n',
      'C:x',
    ]
    const long = ['x'.repeat(201), Array.from({ length: 6 }, () => 'x'.repeat(100)).join('/')]
    for (const key of [...wrong, ...long]) {
      await failure('invalid_request', artifacts.put(key, streamOf(small)))
      await failure('invalid_request', artifacts.read(key))
      await failure('invalid_request', artifacts.stat(key))
      await failure('invalid_request', artifacts.remove(key))
      await failure('invalid_request', artifacts.asFile(key))
      await failure('invalid_request', artifacts.beginUpload(key, 1))
    }
    const longest = `${'x'.repeat(200)}/${'y'.repeat(200)}/${'z'.repeat(110)}`
    await artifacts.put(longest, streamOf(small))
    expect(await artifacts.stat(longest)).toEqual({ size_bytes: 1000 })
  })

  it('holds a body to what is expected of it, and leaves nothing behind', async () => {
    const { artifacts, leftovers } = under()
    const expected = { size_bytes: large.byteLength, sha256: sha256(large).toUpperCase(), max_bytes: large.byteLength }
    for (const bytes of [small, large]) {
      const fitting = { size_bytes: bytes.byteLength, sha256: sha256(bytes).toUpperCase(), max_bytes: bytes.byteLength }
      await failure('payload_too_large', artifacts.put('held', streamOf(bytes), { ...fitting, max_bytes: bytes.byteLength - 1 }))
      await failure('upload_incomplete', artifacts.put('held', streamOf(bytes.subarray(1)), fitting))
      await failure('upload_incomplete', artifacts.put('held', streamOf(bytes), { sha256: sha256(Buffer.from('other')) }))
      await expect(artifacts.put('held', brokenStream(bytes))).rejects.toThrow('the caller went away')
    }
    expect(await artifacts.stat('held')).toBeUndefined()
    expect(await leftovers()).toBe(0)
    await artifacts.put('held', streamOf(large), expected)
    await expect(artifacts.put('held', brokenStream(small))).rejects.toThrow('the caller went away')
    expect(await artifacts.stat('held')).toEqual({ size_bytes: large.byteLength })
  })

  it('shows an artifact as a file', async () => {
    const { artifacts } = under()
    await artifacts.put('file/it', streamOf(small))
    const [one, two] = [await artifacts.asFile('file/it'), await artifacts.asFile('file/it')]
    await one.release()
    expect(await readFile(two.path)).toEqual(small)
    await two.release()
    expect(await artifacts.stat('file/it')).toBeDefined()
  })
}
