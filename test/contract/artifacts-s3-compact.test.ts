import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { CreateBucketCommand, HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { s3Artifacts } from '../../layers/artifacts/s3.ts'
import { bytesFrom, mebibyte, sha256, streamOf } from '../support/artifacts.ts'
import { type Emulator, s3Client, startS3 } from '../support/emulators.ts'
import { compressible } from './artifacts-compact.ts'

const bytes = compressible(120_003)
const wanted = sha256(bytes)
const Bucket = 'models'

describe('compaction on S3', () => {
  let emulator: Emulator
  let scratch_dir: string
  let client: S3Client
  const over = (own: S3Client, copy_limit_bytes?: number) =>
    s3Artifacts({
      bucket: Bucket,
      client: () => own,
      now: () => new Date(),
      scratch_dir,
      ...(copy_limit_bytes && { copy_limit_bytes }),
    })
  beforeAll(async () => {
    emulator = await startS3()
    scratch_dir = await mkdtemp(join(tmpdir(), 'artifacts-'))
    client = s3Client(emulator.endpoint)
    await client.send(new CreateBucketCommand({ Bucket }))
  })
  afterAll(async () => {
    client?.destroy()
    await emulator?.stop()
    await rm(scratch_dir, { recursive: true })
  })

  /** Calls from the n-th on fail, as a process that was killed makes none; `after`: the n-th itself still had its effect. */
  const dying = (at: number, moment: 'before' | 'after') => {
    const own = s3Client(emulator.endpoint)
    let calls = 0
    own.middlewareStack.add(
      (next) => async (args) => {
        calls += 1
        if (calls > at || (calls === at && moment === 'before')) throw new Error('killed')
        const answer = await next(args)
        if (calls === at) {
          const body: unknown = Reflect.get(Object(answer.output), 'Body')
          if (body instanceof Readable) body.on('error', () => undefined).destroy()
          throw new Error('killed')
        }
        return answer
      },
      { step: 'initialize', name: 'dying' },
    )
    return { artifacts: over(own), calls: () => calls, close: () => own.destroy() }
  }

  it.each(['compact', 'expand'] as const)('leaves the artifact whole wherever the process dies in %s', async (verb) => {
    const artifacts = over(client)
    let points = 0
    for (const moment of ['before', 'after'] as const)
      for (let at = 1; at < 40; at += 1) {
        const key = `crash/${verb}-${moment}-${at}`
        await artifacts.put(key, streamOf(bytes))
        if (verb === 'expand') await artifacts.compact(key)
        const host = dying(at, moment)
        const ended = await host.artifacts[verb](key, verb === 'compact' ? { sha256: wanted } : undefined).catch(() => 'died')
        host.close()
        expect(sha256(await bytesFrom(await artifacts.read(key))), key).toBe(wanted)
        expect(await bytesFrom(await artifacts.read(key, { start: 7, end: 99_999 }))).toEqual(bytes.subarray(7, 100_000))
        expect((await artifacts.compact(key, { sha256: wanted })).form).toBe('compressed')
        expect((await artifacts.expand(key)).form).toBe('plain')
        expect(sha256(await bytesFrom(await artifacts.read(key))), key).toBe(wanted)
        if (ended !== 'died' && host.calls() < at) break
        points += 1
      }
    expect(points).toBeGreaterThan(verb === 'compact' ? 12 : 6)
  })

  it('keeps nothing of the compression beside the object, and says what the object is', async () => {
    // As if it were too large for one copy: it is more than 5 MB, which S3 wants of a source that is copied in parts.
    const artifacts = over(client, 1000)
    const many = compressible(11 * mebibyte)
    await artifacts.put('facts/it', streamOf(many))
    await artifacts.compact('facts/it', { cold: true })
    const { Metadata, StorageClass } = await client.send(new HeadObjectCommand({ Bucket, Key: 'facts/it' }))
    expect(Metadata).toEqual({
      'aideploy-form': 'zstd-frames',
      'aideploy-size': String(many.byteLength),
      'aideploy-sha256': sha256(many),
    })
    expect([undefined, 'GLACIER_IR']).toContain(StorageClass)
    expect((await artifacts.list('scratch/')).filter((key) => !key.startsWith('scratch/compacting/'))).toEqual([])
    expect(sha256(await bytesFrom(await artifacts.read('facts/it')))).toBe(sha256(many))
    await artifacts.expand('facts/it')
    const plain = await client.send(new HeadObjectCommand({ Bucket, Key: 'facts/it' }))
    expect(plain.Metadata ?? {}).toEqual({})
    expect(plain.ContentLength).toBe(many.byteLength)
  })

  it('reports a damaged object instead of giving wrong bytes', async () => {
    const artifacts = over(client)
    await artifacts.put('damaged/it', streamOf(bytes))
    await artifacts.compact('damaged/it')
    const { PutObjectCommand, GetObjectCommand } = await import('@aws-sdk/client-s3')
    const { Body, Metadata } = await client.send(new GetObjectCommand({ Bucket, Key: 'damaged/it' }))
    const stored = Buffer.from((await Body?.transformToByteArray()) ?? [])
    stored[1000] = (stored[1000] ?? 0) ^ 0xff
    await client.send(new PutObjectCommand({ Bucket, Key: 'damaged/it', Body: stored, Metadata }))
    await expect(artifacts.read('damaged/it').then(bytesFrom)).rejects.toThrow('damaged')
    await client.send(new PutObjectCommand({ Bucket, Key: 'damaged/it', Body: stored.subarray(0, -4), Metadata }))
    await expect(artifacts.read('damaged/it').then(bytesFrom)).rejects.toThrow('damaged')
  })
})
