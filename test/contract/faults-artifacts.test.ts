import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { s3Artifacts } from '../../layers/artifacts/s3.ts'
import { transferSettings } from '../../layers/aws/client-settings.ts'
import { isPlatformError } from '../../layers/core/contract/errors.ts'
import type { Artifacts, Compaction } from '../../layers/core/ports/artifacts.ts'
import { bytesFrom, mebibyte, sendPart, sha256, streamOf } from '../support/artifacts.ts'
import { s3Client, startS3 } from '../support/emulators.ts'
import { hastyRetries } from '../support/faulty-dynamodb.ts'
import { type FaultyS3, faultyS3, type WriteFate } from '../support/faulty-s3.ts'
import { compressible } from './artifacts-compact.ts'

const small = compressible(150_003)
const large = compressible(9 * mebibyte + 1)

describe('artifacts when S3 misbehaves', () => {
  let server: FaultyS3
  let artifacts: Artifacts & Compaction
  let plain: Artifacts & Compaction
  let scratch_dir: string
  const close: (() => Promise<void> | void)[] = []
  beforeAll(async () => {
    const behind = await startS3()
    server = await faultyS3(behind)
    scratch_dir = await mkdtemp(join(tmpdir(), 'artifacts-'))
    const settings = { region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } }
    const faulty = new S3Client({ ...transferSettings, ...settings, endpoint: server.endpoint, retryStrategy: hastyRetries })
    const direct = s3Client(behind.endpoint)
    await direct.send(new CreateBucketCommand({ Bucket: 'models' }))
    const over = (client: S3Client) => s3Artifacts({ bucket: 'models', client: () => client, now: () => new Date(), scratch_dir })
    artifacts = over(faulty)
    plain = over(direct)
    close.push(
      () => faulty.destroy(),
      () => direct.destroy(),
      server.stop,
      () => rm(scratch_dir, { recursive: true }),
    )
  })
  afterAll(async () => {
    for (const each of close) await each()
  })
  const calm = () => {
    server.fate(() => 'pass')
    server.writeFate(() => 'pass')
  }
  const outcome = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'done',
      (error: unknown) => (isPlatformError(error) ? error.code : String(error)),
    )
  const wholeOrAbsent = async (key: string, bytes: Buffer): Promise<'whole' | 'absent'> => {
    if (!(await plain.stat(key))) return 'absent'
    expect(sha256(await bytesFrom(await plain.read(key)))).toBe(sha256(bytes))
    return 'whole'
  }
  const write_fates: WriteFate[] = [{ error: 'SlowDown' }, { error: 'InternalError' }, 'lost']
  const name = (fate: unknown) => JSON.stringify(fate)

  it.each(write_fates)('puts whole, in one piece and in parts, when any one call ends in %o', async (fate) => {
    for (const [bytes, calls] of [
      [small, 1],
      [large, 4],
    ] as const)
      for (let at = 0; at < calls; at += 1) {
        const key = `put/${name(fate).replace(/\W/g, '')}-${bytes.length}-${at}`
        calm()
        server.writeFate((_, __, number) => (number === at ? fate : 'pass'))
        const said = await outcome(artifacts.put(key, streamOf(bytes)))
        calm()
        expect(said, key).toBe('done')
        expect(await wholeOrAbsent(key, bytes), key).toBe('whole')
      }
  })

  it.each(write_fates)('leaves all or nothing when every call ends in %o', async (fate) => {
    for (const bytes of [small, large]) {
      const key = `never/${name(fate).replace(/\W/g, '')}-${bytes.length}`
      server.writeFate(() => fate)
      expect(await outcome(artifacts.put(key, streamOf(bytes)))).toBe('unavailable')
      calm()
      expect(await wholeOrAbsent(key, bytes)).toBe(fate === 'lost' && bytes === small ? 'whole' : 'absent')
    }
  })

  it.each(['plain', 'compressed'])('never gives cut bytes of a %s artifact for whole ones', async (form) => {
    calm()
    const key = `read/${form}`
    await plain.put(key, streamOf(small))
    if (form === 'compressed') await plain.compact(key)
    for (const range of [undefined, { start: 1000, end: 149_000 }]) {
      const wanted = range ? small.subarray(range.start, range.end + 1) : small
      server.fate(() => 'pass')
      await bytesFrom(await artifacts.read(key, range))
      const calls = server.requests.length
      for (let at = 0; at < calls; at += 1)
        for (const fate of [
          { error: 'SlowDown' },
          { error: 'InternalError' },
          { cut_after_bytes: 5 },
          { cut_after_bytes: 9000 },
        ] as const) {
          server.fate((_, number) => (number === at ? fate : 'pass'))
          const got = await artifacts
            .read(key, range)
            .then(bytesFrom)
            .catch(() => undefined)
          if (got) expect(sha256(got), `${name(fate)} at ${at}`).toBe(sha256(wanted))
          if ('error' in fate) expect(got, `${name(fate)} at ${at}`).toBeDefined()
        }
    }
    server.fate(() => ({ cut_after_bytes: 5 }))
    expect(await outcome(artifacts.asFile(key))).not.toBe('done')
    expect(await readdir(scratch_dir)).toEqual([])
    calm()
    const { path, release } = await artifacts.asFile(key)
    expect(sha256(await readFile(path))).toBe(sha256(small))
    await release()
  })

  it('completes an upload once its parts can be joined and read back, and says so only then', async () => {
    const expected = { sha256: sha256(large) }
    for (const [write, read] of [
      ['pass', 'pass'],
      [{ error: 'SlowDown' }, 'pass'],
      [{ error: 'InternalError' }, 'pass'],
      ['lost', 'pass'],
      ['pass', { error: 'InternalError' }],
      ['pass', { cut_after_bytes: 7 }],
    ] as const) {
      const key = `upload/${name([write, read]).replace(/\W/g, '')}`
      calm()
      const plan = await plain.beginUpload(key, large.length)
      const parts = []
      for (const { number } of plan.parts) parts.push(await sendPart(plan, number, large))
      server.writeFate((_, __, number) => (number === 0 ? write : 'pass'))
      server.fate((_, number) => (number === 0 ? read : 'pass'))
      expect(await outcome(artifacts.completeUpload(key, plan.upload_id, parts, expected)), key).toBe('done')
      calm()
      expect(await wholeOrAbsent(key, large), key).toBe('whole')
    }
  })

  it('compacts and expands without ever losing the bytes', async () => {
    for (const fate of [...write_fates, { cut_after_bytes: 9 } as const])
      for (const verb of ['compact', 'expand'] as const)
        for (let at = 0; at < 8; at += 1) {
          const key = `compact/${verb}-${name(fate).replace(/\W/g, '')}-${at}`
          calm()
          await plain.put(key, streamOf(small))
          if (verb === 'expand') await plain.compact(key)
          if (typeof fate === 'string' || 'error' in fate) server.writeFate((_, __, number) => (number === at ? fate : 'pass'))
          else server.fate((_, number) => (number === at ? fate : 'pass'))
          const said = await outcome(artifacts[verb](key))
          calm()
          expect(await wholeOrAbsent(key, small), key).toBe('whole')
          expect(await outcome(artifacts[verb](key)), `${key} after ${said}`).toBe('done')
          expect(await wholeOrAbsent(key, small), key).toBe('whole')
        }
    expect(await plain.list('scratch/')).toEqual([])
  })
})
