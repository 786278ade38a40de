import { mkdtemp, open, readdir, readFile, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DiskOptions, diskArtifacts } from '../../../layers/artifacts/disk.ts'
import { holdArtifacts } from '../../../layers/artifacts/disk-hold.ts'
import type { OpenFile } from '../../../layers/artifacts/disk-write.ts'
import type { PartRequest } from '../../../layers/core/ports/artifacts.ts'
import { bytesFrom, bytesOf, mebibyte, sha256, streamOf } from '../../support/artifacts.ts'
import { failure } from '../../support/records.ts'

const small = bytesOf(1000)

/** What a part's address says. */
const requestFor = (url: string): PartRequest => {
  const { pathname, searchParams } = new URL(url)
  const [, , upload_id = '', , number] = pathname.split('/')
  return {
    upload_id,
    number: Number(number),
    expires: searchParams.get('expires') ?? '',
    signature: searchParams.get('signature') ?? '',
  }
}

/** A disk with room for so many bytes, which takes at most 1000 of them at a time. */
const diskOf = (room_bytes: number): OpenFile => {
  let left_bytes = room_bytes
  return async (path, flags) => {
    const file = await open(path, flags)
    const write = async (buffer: Uint8Array, offset: number, length: number, position: number) => {
      if (left_bytes === 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
      const { bytesWritten } = await file.write(buffer, offset, Math.min(length, left_bytes, 1000), position)
      left_bytes -= bytesWritten
      return { bytesWritten, buffer }
    }
    return { write: write as typeof file.write, sync: () => file.sync(), close: () => file.close() }
  }
}

describe('disk artifacts, beyond the contract', () => {
  let root: string
  let clock: { now: Date }
  const openArtifacts = (more: Partial<DiskOptions> = {}) =>
    diskArtifacts({ root, now: () => clock.now, sign_key: 'secret', public_url: () => 'http://127.0.0.1:1', ...more })
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'disk-'))
    clock = { now: new Date('2026-11-20T10:00:00Z') }
  })
  afterEach(() => rm(root, { recursive: true }))
  const leftovers = async () => [...(await readdir(join(root, 'temp'))), ...(await readdir(join(root, 'uploads')))]

  it('says that the disk is full, and leaves nothing behind', async () => {
    const artifacts = openArtifacts({ openFile: diskOf(100_000) })
    await failure('storage_full', artifacts.put('large', streamOf(bytesOf(200_000))))
    expect(await artifacts.list('')).toEqual([])
    expect(await leftovers()).toEqual([])
    await failure('storage_full', openArtifacts({ openFile: diskOf(10) }).beginUpload('a', 1000))
    expect(await leftovers()).toEqual([])
  })

  it('writes all of a chunk although the disk takes a part at a time', async () => {
    const artifacts = openArtifacts({ openFile: diskOf(1_000_000) })
    const bytes = bytesOf(123_456)
    await artifacts.put('odd', streamOf(bytes))
    expect(sha256(await bytesFrom(await artifacts.read('odd')))).toBe(sha256(bytes))
  })

  it('lets a part be sent again after the disk was full', async () => {
    const plan = await openArtifacts().beginUpload('a', 1000)
    const request = requestFor(plan.parts[0]?.url ?? '')
    await failure('storage_full', openArtifacts({ openFile: diskOf(500) }).receivePart(request, streamOf(small)))
    await failure('upload_incomplete', openArtifacts().completeUpload('a', plan.upload_id, [{ number: 1, etag: sha256(small) }]))
    const part = { number: 1, ...(await openArtifacts().receivePart(request, streamOf(small))) }
    expect(await openArtifacts().completeUpload('a', plan.upload_id, [part])).toEqual({ size_bytes: 1000, sha256: sha256(small) })
  })

  it('sweeps what a crash left on its way', async () => {
    openArtifacts()
    await writeFile(join(root, 'temp', 'half-written'), 'x')
    openArtifacts()
    expect(await leftovers()).toEqual([])
  })

  it('follows no link out of its folder', async () => {
    const artifacts = openArtifacts()
    await symlink('/etc', join(root, 'objects', 'etc+'))
    await symlink('/etc/passwd', join(root, 'objects', 'passwd'))
    for (const key of ['etc/passwd', 'passwd']) {
      await failure('not_found', artifacts.read(key))
      await failure('not_found', artifacts.asFile(key))
    }
    await failure('not_found', artifacts.put('etc/written', streamOf(small)))
    expect(await artifacts.stat('passwd')).toBeUndefined()
    expect(await artifacts.list('')).toEqual([])
  })

  it('takes a part only under an address it signed, while it lasts', async () => {
    const artifacts = openArtifacts()
    const plan = await artifacts.beginUpload('a', 20 * mebibyte)
    const request = requestFor(plan.parts[0]?.url ?? '')
    const forged: Partial<PartRequest>[] = [
      { number: 2 },
      { number: 0 },
      { number: Number.NaN },
      { expires: String(Number(request.expires) + 1) },
      { signature: '' },
      { signature: request.signature.slice(0, -2) },
      { upload_id: '00000000-0000-0000-0000-000000000000' },
      { upload_id: '../../objects' },
    ]
    for (const change of forged) await failure('forbidden', artifacts.receivePart({ ...request, ...change }, streamOf(small)))
    await failure('forbidden', openArtifacts({ sign_key: 'another' }).receivePart(request, streamOf(small)))
    clock.now = new Date(Date.parse(plan.expires_at) - 1000)
    await failure('upload_incomplete', artifacts.receivePart(request, streamOf(small)))
    await failure('payload_too_large', artifacts.receivePart(request, streamOf(bytesOf(8 * mebibyte + 1))))
    clock.now = new Date(plan.expires_at)
    await failure('forbidden', artifacts.receivePart(request, streamOf(small)))
  })

  it('takes one body at a time for a part', async () => {
    const artifacts = openArtifacts()
    const plan = await artifacts.beginUpload('a', 1000)
    const request = requestFor(plan.parts[0]?.url ?? '')
    const held = Promise.withResolvers<void>()
    const slow = artifacts.receivePart(
      request,
      (async function* () {
        yield small.subarray(0, 500)
        await held.promise
        yield small.subarray(500)
      })(),
    )
    await failure('conflict', artifacts.receivePart(request, streamOf(small)))
    await failure('conflict', artifacts.completeUpload('a', plan.upload_id, [{ number: 1, etag: 'any' }]))
    held.resolve()
    const part = { number: 1, ...(await slow) }
    expect(await artifacts.completeUpload('a', plan.upload_id, [part])).toMatchObject({ sha256: sha256(small) })
  })

  it('sweeps uploads past their time, and only those', async () => {
    const artifacts = openArtifacts()
    const old = await artifacts.beginUpload('old', 1000)
    clock.now = new Date(Date.parse(old.expires_at) - 1000)
    const young = await artifacts.beginUpload('young', 1000)
    clock.now = new Date(old.expires_at)
    await failure('not_found', artifacts.completeUpload('old', old.upload_id, []))
    expect(await artifacts.sweepUploads()).toBe(1)
    expect(await readdir(join(root, 'uploads'))).toEqual([young.upload_id])
  })

  it('keeps removed artifacts aside while a backup holds them, but not for a backup that was killed', async () => {
    const artifacts = openArtifacts()
    await artifacts.put('models/1/a.onnx', streamOf(small))
    await artifacts.put('models/2/a.onnx', streamOf(small))
    const release = await holdArtifacts(root)
    await artifacts.remove('models/1/a.onnx')
    expect(await artifacts.list('')).toEqual(['models/2/a.onnx'])
    const [kept = ''] = await readdir(join(root, 'trash'))
    expect(await readFile(join(root, 'trash', kept, 'models+', '1+', 'a.onnx'))).toEqual(small)
    await release()
    expect(await readdir(join(root, 'trash'))).toEqual([])
    await writeFile(join(root, 'hold-of-a-killed-backup'), '')
    await utimes(join(root, 'hold-of-a-killed-backup'), 1, 1)
    await artifacts.remove('models/2/a.onnx')
    expect(await readdir(join(root, 'trash'))).toEqual([])
  })

  it('reads on although the artifact is removed meanwhile', async () => {
    const artifacts = openArtifacts()
    await artifacts.put('a', streamOf(bytesOf(mebibyte)))
    const stream = await artifacts.read('a')
    await artifacts.remove('a')
    expect(sha256(await bytesFrom(stream))).toBe(sha256(bytesOf(mebibyte)))
  })

  it('notices bytes that changed after they were received', async () => {
    const artifacts = openArtifacts()
    const plan = await artifacts.beginUpload('a', 1000)
    const part = { number: 1, ...(await artifacts.receivePart(requestFor(plan.parts[0]?.url ?? ''), streamOf(small))) }
    await truncate(join(root, 'uploads', plan.upload_id, 'bytes'), 999)
    await failure('upload_incomplete', artifacts.completeUpload('a', plan.upload_id, [part]))
  })
})
