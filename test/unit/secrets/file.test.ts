import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fileSecrets } from '../../../layers/secrets/file.ts'
import { scratchFolder } from '../../support/identity.ts'
import { failure } from '../../support/records.ts'

const canary = 'canary-7f3a9c2e'

const house = () => {
  const folder = scratchFolder()
  const paths = { path: join(folder, 'secrets.json'), key_path: join(folder, 'secrets.key') }
  return { folder, ...paths, open: () => fileSecrets(paths) }
}

describe('secrets in a file', () => {
  it('are kept over a restart, replaced and removed', async () => {
    const { open } = house()
    const secrets = open()
    expect(await secrets.get('a/b')).toBeUndefined()
    await secrets.put('a/b', canary)
    await secrets.put('a/c', 'ünïcode\n')
    await secrets.put('a/c', 'newer')
    expect(await open().get('a/b')).toBe(canary)
    expect(await open().get('a/c')).toBe('newer')
    await open().remove('a/b')
    await open().remove('never/there')
    expect(await open().get('a/b')).toBeUndefined()
    expect(await open().get('__proto__')).toBeUndefined()
    expect(await open().get('constructor')).toBeUndefined()
  })

  it('lose none of many writes at once', async () => {
    const { open, folder } = house()
    const secrets = open()
    await Promise.all(Array.from({ length: 40 }, (_, at) => secrets.put(`name/${at}`, `value ${at}`)))
    const again = open()
    const values = await Promise.all(Array.from({ length: 40 }, (_, at) => again.get(`name/${at}`)))
    expect(values).toEqual(Array.from({ length: 40 }, (_, at) => `value ${at}`))
    expect((await readdir(folder)).sort()).toEqual(['secrets.json', 'secrets.key'])
  })

  it('are unreadable on disk and for the owner only', async () => {
    const { open, path, key_path } = house()
    await open().put('a', canary)
    const text = await readFile(path, 'utf8')
    expect(text).not.toContain(canary)
    expect(text).not.toContain(Buffer.from(canary).toString('base64').slice(0, 12))
    for (const file of [path, key_path]) expect((await stat(file)).mode & 0o777).toBe(0o600)
    await chmod(key_path, 0o644)
    expect(await open().get('a')).toBe(canary)
    expect((await stat(key_path)).mode & 0o777).toBe(0o600)
  })

  it('say so when the file was changed, cut, or belongs to another key, and keep it', async () => {
    const { open, path, key_path } = house()
    await open().put('a', canary)
    const sound = await readFile(path, 'utf8')
    const key = await readFile(key_path)
    const sealed = JSON.parse(sound)
    const flipped = (text: string) => (text.startsWith('A') ? 'B' : 'A') + text.slice(1)
    const broken = [
      { ...sealed, data: flipped(sealed.data) },
      { ...sealed, tag: flipped(sealed.tag) },
      { ...sealed, tag: sealed.tag.slice(0, 8) },
      { ...sealed, iv: flipped(sealed.iv) },
      { ...sealed, format: 'other' },
    ].map((each) => JSON.stringify(each))
    for (const text of [...broken, sound.slice(0, -20), '']) {
      await writeFile(path, text)
      const secrets = open()
      const { message } = await failure('internal', secrets.get('a'))
      expect(message).toMatch(/secrets\.json cannot be opened/)
      await failure('internal', secrets.put('b', 'x'))
      expect(await readFile(path, 'utf8')).toBe(text)
    }
    await writeFile(path, sound)
    await writeFile(key_path, Buffer.alloc(32, 1))
    await failure('internal', open().get('a'))
    await writeFile(key_path, key.subarray(0, 31))
    expect((await failure('internal', open().get('a'))).message).toMatch(/31 bytes; wanted 32/)
    await rm(key_path)
    expect((await failure('internal', open().get('a'))).message).toMatch(/secrets\.key is missing/)
    await writeFile(key_path, key)
    expect(await open().get('a')).toBe(canary)
  })

  it('refuse odd names without repeating them', async () => {
    const { open } = house()
    for (const name of ['', '/a', 'a/', 'a//b', 'a b', '../../x y', 'a\n', 'a\0b', 'x'.repeat(300)])
      await failure('invalid_request', open().put(name, canary))
  })
})
