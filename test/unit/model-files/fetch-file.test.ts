import { hash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import { type FetchOptions, fetchFile, type ReadRange } from '../../../layers/model-files/fetch-file.ts'
import { fetchModel } from '../../../layers/model-files/fetch-model.ts'
import { rangesOf, retryDelay_ms } from '../../../layers/model-files/ranges.ts'

const dir = mkdtempSync(join(tmpdir(), 'fetch-file-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const content = (size_bytes: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: size_bytes }, (_, at) => (at * 31) ^ (at >> 8)))
const wantedOf = (bytes: Uint8Array, key = 'weights.bin') => ({
  key,
  size_bytes: bytes.length,
  sha256: hash('sha256', bytes, 'hex'),
})
/** Bodies in pieces; `cut` says after how many bytes the nth request ends early. */
const store =
  (bytes: Uint8Array, cut: (number: number) => number | undefined = () => undefined, seen: [number, number][] = []): ReadRange =>
  async (_, { start, end }) => {
    const number = seen.push([start, end]) - 1
    const whole = bytes.subarray(start, end + 1)
    const sent = whole.subarray(0, cut(number) ?? whole.length)
    return Readable.from(
      sent.length === 0
        ? []
        : [sent.subarray(0, sent.length >> 1), sent.subarray(sent.length >> 1)].filter(({ length }) => length > 0),
    )
  }
let files = 0
const fetched = async (bytes: Uint8Array, options: FetchOptions, wanted = wantedOf(bytes)): Promise<Buffer> => {
  const path = join(dir, `file-${files++}`)
  await fetchFile(wanted, path, options)
  return readFileSync(path)
}
const failure = (work: Promise<unknown>): Promise<PlatformError> =>
  work.then(
    () => Promise.reject(new Error('It did not fail')),
    (error: unknown) => (error instanceof PlatformError ? error : Promise.reject(error)),
  )

describe('ranges of a file', () => {
  it('cover it once, in order, whatever its size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000 }), fc.integer({ min: 1, max: 700 }), (size_bytes, part_bytes) => {
        const ranges = rangesOf(size_bytes, part_bytes)
        let next = 0
        for (const { start, end } of ranges) {
          expect(start).toBe(next)
          expect(end - start + 1).toBeLessThanOrEqual(part_bytes)
          next = end + 1
        }
        expect(next).toBe(size_bytes)
      }),
    )
  })

  it('are repeated later and later, but never after more than two seconds', () => {
    const limits = Array.from({ length: 12 }, (_, failures) => retryDelay_ms(failures, () => 1))
    expect(limits).toEqual([...limits].sort((a, b) => a - b))
    expect(limits.at(-1)).toBe(2000)
    expect(retryDelay_ms(5, () => 0)).toBe(0)
  })
})

describe('loading a file by ranges', () => {
  it('gives the same bytes however bodies are cut off', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 5000 }),
        fc.integer({ min: 50, max: 900 }),
        fc.array(fc.option(fc.integer({ min: 1, max: 400 })), { maxLength: 20 }),
        async (size_bytes, part_bytes, cuts) => {
          const bytes = content(size_bytes)
          const read = store(bytes, (number) => cuts[number] ?? undefined)
          expect((await fetched(bytes, { read, part_bytes })).equals(bytes)).toBe(true)
        },
      ),
      { numRuns: 25 },
    )
  })

  it('hashes more than it holds in memory at once, in order, also when the last range comes first', async () => {
    const bytes = content(6_000_000)
    const plain = store(bytes)
    const read: ReadRange = async (key, range, signal) => {
      if (range.start === 0) await new Promise((resolve) => setTimeout(resolve, 60))
      return plain(key, range, signal)
    }
    expect((await fetched(bytes, { read, part_bytes: 1_000_000 })).equals(bytes)).toBe(true)
  })

  it('asks for what is missing only, and for no more ranges at once than it may', async () => {
    const bytes = content(4000)
    const seen: [number, number][] = []
    let running = 0
    let most = 0
    const plain = store(bytes, (number) => (number === 0 ? 300 : undefined), seen)
    const read: ReadRange = async (...args) => {
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setTimeout(resolve, 2))
      running -= 1
      return plain(...args)
    }
    await fetched(bytes, { read, part_bytes: 500, concurrency: 3 })
    expect(most).toBe(3)
    expect(seen).toContainEqual([300, 499])
    expect(seen).toHaveLength(9)
  })

  it('refuses other bytes than those announced, shorter objects, and longer answers', async () => {
    const bytes = content(3000)
    const other = Uint8Array.from(bytes, (byte, at) => (at === 1500 ? byte ^ 1 : byte))
    const changed = await failure(fetched(bytes, { read: store(other), part_bytes: 500 }))
    expect(changed).toMatchObject({ code: 'deployment_unavailable', extras: { facts: { reason: 'sha256_mismatch' } } })
    const short = { read: store(bytes.subarray(0, 2900)), part_bytes: 500, most_failures: 2 }
    expect(await failure(fetched(bytes, short))).toMatchObject({ extras: { facts: { reason: 'storage_failed' } } })
    const long: ReadRange = async () => Readable.from([bytes])
    expect((await failure(fetched(bytes, { read: long, part_bytes: 500, most_failures: 2 }))).message).toMatch(
      /more than was asked for/,
    )
  })

  it('gives up at once where it is refused, and after some tries where nothing comes', async () => {
    const bytes = content(100)
    let asked = 0
    const refuse: ReadRange = async () => {
      asked += 1
      throw new PlatformError('not_found', 'S3 refused it (403)')
    }
    expect((await failure(fetched(bytes, { read: refuse }))).message).toMatch(/S3 refused it/)
    expect(asked).toBe(1)
    const silent: ReadRange = async (_, __, signal) => {
      asked += 1
      const body = new Readable({ read: () => undefined })
      signal.addEventListener('abort', () => body.destroy())
      return body
    }
    expect((await failure(fetched(bytes, { read: silent, stall_ms: 20, most_failures: 3 }))).code).toBe('deployment_unavailable')
    expect(asked).toBe(4)
  })
})

describe('loading a model', () => {
  const bytes = content(900)
  const manifest = Buffer.from(
    JSON.stringify({
      ...{ organization_id: 'org_1', deployment_id: 'dep_1', deployment_type: 'serverless', revision: 2, name: 'iris' },
      model_sha256: '0'.repeat(64),
      files: [
        { name: 'model.onnx', ...wantedOf(bytes, 'a/model.onnx') },
        { name: 'weights.bin', ...wantedOf(bytes, 'a/weights.bin') },
      ],
    }),
  )
  const read: ReadRange = (key, range, signal) => store(key.endsWith('.json') ? manifest : bytes)(key, range, signal)
  const wanted = { manifest_key: 'a/manifest.json', manifest_sha256: hash('sha256', manifest, 'hex') }

  it('puts every file of its manifest beside the others', async () => {
    const folder = join(dir, 'model')
    const { model_path, size_bytes, manifest: told } = await fetchModel(wanted, folder, { read })
    expect({ model_path, size_bytes, revision: told.revision }).toEqual({
      model_path: join(folder, 'model.onnx'),
      size_bytes: 1800,
      revision: 2,
    })
    expect(readFileSync(join(folder, 'weights.bin')).equals(bytes)).toBe(true)
  })

  it('leaves nothing behind when one of them is not what it should be', async () => {
    const folder = join(dir, 'broken')
    const spoilt: ReadRange = (key, range, signal) =>
      key.endsWith('weights.bin') ? store(content(900).fill(1))(key, range, signal) : read(key, range, signal)
    expect((await failure(fetchModel(wanted, folder, { read: spoilt }))).message).toMatch(/weights\.bin has sha256/)
    expect(existsSync(folder)).toBe(false)
    const foreign = { ...wanted, manifest_sha256: 'f'.repeat(64) }
    expect((await failure(fetchModel(foreign, folder, { read }))).message).toMatch(/manifest\.json has sha256/)
  })
})
