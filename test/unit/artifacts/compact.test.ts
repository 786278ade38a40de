import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DiskOptions, diskArtifacts } from '../../../layers/artifacts/disk.ts'
import { holdArtifacts } from '../../../layers/artifacts/disk-hold.ts'
import { compressible } from '../../contract/artifacts-compact.ts'
import { bytesFrom, sha256, streamOf } from '../../support/artifacts.ts'
import { failure } from '../../support/records.ts'

const bytes = compressible(200_003)
const wanted = sha256(bytes)
const node = join(import.meta.dirname, '../../../node_modules/.bin/node')
const compactor = join(import.meta.dirname, '../../support/compactor.ts')

describe('compaction on disk', () => {
  let root: string
  const openArtifacts = (more: Partial<DiskOptions> = {}) =>
    diskArtifacts({ root, now: () => new Date(), sign_key: 'secret', public_url: 'http://127.0.0.1:1', ...more })
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'disk-'))
  })
  afterEach(() => rm(root, { recursive: true }))
  const files = () => readdir(join(root, 'objects'))

  it('leaves the artifact whole wherever it is killed', async () => {
    await openArtifacts().put('a', streamOf(compressible(3_000_003)))
    const original = sha256(compressible(3_000_003))
    for (let round = 0; round < 8; round += 1) {
      const child = spawn(node, [compactor, 'loop', root, 'a'], { stdio: ['ignore', 'pipe', 'inherit'] })
      await once(child.stdout, 'data')
      await pause(round * 9)
      child.kill('SIGKILL')
      await once(child, 'exit')
      const artifacts = openArtifacts()
      expect(sha256(await bytesFrom(await artifacts.read('a')))).toBe(original)
      expect(await artifacts.list('')).toEqual(['a'])
      expect(await artifacts.stat('a')).toEqual({ size_bytes: 3_000_003 })
      expect(await readdir(join(root, 'temp'))).toEqual([])
    }
    const artifacts = openArtifacts()
    await artifacts.compact('a', { sha256: original })
    expect(await files()).toEqual(['a~zst'])
    await artifacts.expand('a')
    expect(await files()).toEqual(['a'])
  })

  it('takes the plain file where a crash left both forms, and tidies up', async () => {
    const artifacts = openArtifacts()
    await artifacts.put('a', streamOf(bytes))
    await artifacts.compact('a')
    await copyFile(join(root, 'objects', 'a~zst'), join(root, 'objects', 'kept'))
    await artifacts.put('a', streamOf(bytes.subarray(1)))
    expect(await files()).toEqual(['a', 'kept'])
    await copyFile(join(root, 'objects', 'kept'), join(root, 'objects', 'a~zst'))
    await rm(join(root, 'objects', 'kept'))
    expect(await bytesFrom(await artifacts.read('a'))).toEqual(bytes.subarray(1))
    expect(await artifacts.list('')).toEqual(['a'])
    await artifacts.expand('a')
    expect(await files()).toEqual(['a'])
    expect((await artifacts.compact('a', { sha256: sha256(bytes.subarray(1)) })).form).toBe('compressed')
    await artifacts.remove('a')
    expect(await files()).toEqual([])
  })

  it('needs no more memory for more bytes, and any zstd reads what it wrote', async () => {
    const run = async (megabytes: number) => {
      const folder = join(root, String(megabytes))
      const { stdout } = await promisify(execFile)(node, [compactor, 'stream', folder, String(megabytes)])
      return JSON.parse(stdout)
    }
    const small = await run(8)
    const large = await run(100)
    expect(large.read).toEqual(large.put)
    expect(large.compact).toMatchObject({ form: 'compressed', size_bytes: 100 * 2 ** 20 })
    expect(large.compact.stored_bytes).toBeLessThan(60 * 2 ** 20)
    expect(large.peak_kib - small.peak_kib).toBeLessThan(64 * 1024)
  })

  it('leaves the original where the disk is full, and where a file of it is lent', async () => {
    let room_bytes = 10_000
    const full: DiskOptions['openFile'] = async (path, flags) => {
      const file = await open(path, flags)
      const write = (async (buffer: Uint8Array, offset: number, length: number, position: number) => {
        room_bytes -= length
        if (room_bytes < 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
        return file.write(buffer, offset, length, position)
      }) as typeof file.write
      return { write, sync: () => file.sync(), close: () => file.close() }
    }
    await openArtifacts().put('a', streamOf(bytes))
    await failure('storage_full', openArtifacts({ openFile: full }).compact('a'))
    expect(await files()).toEqual(['a'])
    expect(await readdir(join(root, 'temp'))).toEqual([])
    const artifacts = openArtifacts()
    const file = await artifacts.asFile('a')
    expect((await artifacts.compact('a')).form).toBe('plain')
    await file.release()
    await file.release()
    expect((await artifacts.compact('a')).form).toBe('compressed')
  })

  it('keeps the original aside while a backup holds the artifacts', async () => {
    const artifacts = openArtifacts()
    await artifacts.put('a', streamOf(bytes))
    const release = await holdArtifacts(root)
    await artifacts.compact('a')
    expect(await files()).toEqual(['a~zst'])
    const [kept = ''] = await readdir(join(root, 'trash'))
    expect(await readdir(join(root, 'trash', kept))).toEqual(['a'])
    await release()
    expect(await readdir(join(root, 'trash'))).toEqual([])
  })

  it('reports damage instead of giving wrong bytes', async () => {
    const artifacts = openArtifacts()
    await artifacts.put('a', streamOf(bytes))
    const { stored_bytes } = await artifacts.compact('a')
    const path = join(root, 'objects', 'a~zst')
    const file = await open(path, 'r+')
    await file.write(Buffer.from([1, 2, 3, 4]), 0, 4, Math.floor(stored_bytes / 2))
    await file.close()
    await expect(artifacts.read('a').then(bytesFrom)).rejects.toThrow('damaged')
    await failure('internal', artifacts.expand('a'))
    for (const short of [0, 5, 16, stored_bytes - 1]) {
      await writeFile(path, Buffer.alloc(short, 7))
      await failure('internal', artifacts.read('a'))
      await failure('internal', artifacts.stat('a'))
    }
  })

  it('is the seekable format that the zstd command reads', async ({ skip }) => {
    const artifacts = openArtifacts()
    await artifacts.put('a', streamOf(bytes))
    await artifacts.compact('a')
    try {
      const out = execFileSync('zstd', ['-dc', join(root, 'objects', 'a~zst')], {
        maxBuffer: 2 ** 26,
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      expect(sha256(out)).toBe(wanted)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') skip('left out: there is no zstd command here')
      throw error
    }
  })
})
