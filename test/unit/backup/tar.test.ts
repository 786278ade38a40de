import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { padding, type TarEntry, tar_end, tarEntries, tarHeader } from '../../../layers/archive/tar.ts'
import { restoreHome } from '../../../layers/compose/restore.ts'
import { sha256 } from '../../support/artifacts.ts'
import { failure } from '../../support/records.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tar-'))
})
afterAll(() => rm(folder, { recursive: true }))

const archiveOf = (files: [string, Buffer][]): Buffer =>
  Buffer.concat([
    ...files.flatMap(([path, bytes]) => [tarHeader(path, bytes.length, 1_795_000_000), bytes, padding(bytes.length)]),
    tar_end,
  ])

const entriesOf = async (archive: Buffer): Promise<TarEntry[]> => {
  await writeFile(join(folder, 'it.tar'), archive)
  const file = await open(join(folder, 'it.tar'))
  try {
    const entries: TarEntry[] = []
    for await (const entry of tarEntries(file)) entries.push(entry)
    return entries
  } finally {
    await file.close()
  }
}

it('reads back any path and size it wrote', async () => {
  const path = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }).filter((text) => !text.includes('\0'))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(path, fc.nat(1500)), { maxLength: 4 }), async (files) => {
      const archive = archiveOf(files.map(([name, size]) => [name, Buffer.alloc(size, 7)]))
      const entries = await entriesOf(archive)
      expect(entries.map((entry) => [entry.path, entry.size_bytes])).toEqual(files)
      for (const { start, size_bytes } of entries)
        expect(archive.subarray(start, start + size_bytes).every((byte) => byte === 7)).toBe(true)
    }),
    { numRuns: 60 },
  )
})

it('writes sizes that ustar cannot', async () => {
  const header = tarHeader('large', 3 * 1024 ** 4, 0)
  await writeFile(join(folder, 'large.tar'), header)
  const file = await open(join(folder, 'large.tar'))
  expect((await tarEntries(file).next()).value).toEqual({ path: 'large', size_bytes: 3 * 1024 ** 4, start: header.length })
  await file.close()
})

it('unpacks nothing outside its folder', async () => {
  for (const path of ['../outside', '/etc/outside', 'a/../../outside', 'a//b', './a', 'a\\..\\b']) {
    const bytes = Buffer.from('x')
    const manifest = {
      format: 1,
      created_at: '2026-11-20T10:00:00.000Z',
      version: '1',
      files: [{ path, size_bytes: 1, sha256: sha256(bytes) }],
    }
    await writeFile(
      join(folder, 'evil.tar'),
      archiveOf([
        [path, bytes],
        ['manifest.json', Buffer.from(JSON.stringify(manifest))],
      ]),
    )
    const error = await failure('invalid_request', restoreHome({ home: join(folder, 'home'), file: join(folder, 'evil.tar') }))
    expect(error.message).toContain('no path below')
  }
})

it('refuses what is no archive of files', async () => {
  const link = tarHeader('link', 0, 0)
  link.write('2', 156)
  await expect(entriesOf(Buffer.concat([link, tar_end]))).rejects.toThrow('no header')
  const sized = archiveOf([['x'.repeat(150), Buffer.alloc(512)]])
  sized.write('x12', sized.indexOf('size=512') + 'size='.length)
  await expect(entriesOf(sized)).rejects.toMatchObject({ code: 'invalid_request' })
  await expect(entriesOf(Buffer.alloc(2000, 'a'))).rejects.toThrow('no header')
  await expect(entriesOf(archiveOf([['a', Buffer.alloc(10)]]).subarray(0, -1024))).rejects.toThrow('it ends at')
})
