import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import type { Secrets } from '../core/ports/secrets.ts'
import { checkedName, checkedValue } from './checked.ts'

const format = 'aideploy-secrets-1'
const Sealed = z.object({ format: z.literal(format), iv: z.string(), tag: z.string(), data: z.string() })
const Values = z.record(z.string(), z.string())

interface Opened {
  key: Buffer
  values: Map<string, string>
}

/**
 * All secrets in one file sealed with AES-256-GCM; its key is 32 random bytes in a file of mode 0600 made at the first use.
 * The file is replaced whole and durably (write, fsync, rename, fsync of the folder), so a crash leaves the old or the new one.
 * Fails with `internal` when the file was changed or belongs to another key. One process at a time.
 */
export const fileSecrets = ({ path, key_path }: { path: string; key_path: string }): Secrets => {
  let opened: Promise<Opened> | undefined
  let turn: Promise<unknown> = Promise.resolve()
  const load = (): Promise<Opened> => {
    opened ??= openAll(path, key_path).catch((error: unknown) => {
      opened = undefined
      throw error
    })
    return opened
  }
  const change = (apply: (values: Map<string, string>) => void): Promise<void> => {
    const next = turn.then(async () => {
      const { key, values } = await load()
      const changed = new Map(values)
      apply(changed)
      await replaceFile(path, seal(key, changed))
      opened = Promise.resolve({ key, values: changed })
    })
    turn = next.catch(() => undefined)
    return next
  }
  return {
    get: async (name) => (await load()).values.get(checkedName(name)),
    put: async (name, value) => {
      const checked = checkedName(name)
      const kept = checkedValue(value)
      await change((values) => values.set(checked, kept))
    },
    remove: async (name) => {
      const checked = checkedName(name)
      await change((values) => values.delete(checked))
    },
  }
}

const openAll = async (path: string, key_path: string): Promise<Opened> => {
  const sealed = await readOrUndefined(path)
  const key = await readKey(key_path, sealed === undefined)
  return { key, values: sealed === undefined ? new Map() : unseal(key, sealed, basename(path)) }
}

/** A key is made only where there is nothing yet that an earlier key would open. */
const readKey = async (key_path: string, may_make: boolean): Promise<Buffer> => {
  const found = await readOrUndefined(key_path)
  if (found === undefined && !may_make)
    throw new PlatformError('internal', `The key file ${basename(key_path)} is missing; put it back to open the secrets`)
  const key = found ?? (await makeKey(key_path))
  if (key.length !== 32)
    throw new PlatformError('internal', `The key file ${basename(key_path)} has ${key.length} bytes; wanted 32`)
  await chmod(key_path, 0o600)
  return key
}

const makeKey = async (key_path: string): Promise<Buffer> => {
  const key = randomBytes(32)
  await replaceFile(key_path, key)
  return key
}

const seal = (key: Buffer, values: Map<string, string>): string => {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(format))
  const data = Buffer.concat([cipher.update(JSON.stringify(Object.fromEntries(values)), 'utf8'), cipher.final()])
  return JSON.stringify({
    format,
    iv: iv.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
    data: data.toString('base64'),
  })
}

const unseal = (key: Buffer, sealed: Buffer, file_name: string): Map<string, string> => {
  try {
    const { iv, tag, data } = Sealed.parse(JSON.parse(sealed.toString('utf8')))
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64'), { authTagLength: 16 }).setAAD(
      Buffer.from(format),
    )
    decipher.setAuthTag(Buffer.from(tag, 'base64'))
    const text = Buffer.concat([decipher.update(Buffer.from(data, 'base64')), decipher.final()]).toString('utf8')
    return new Map(Object.entries(Values.parse(JSON.parse(text))))
  } catch {
    // The cause is left out: a parser's message may quote what it read.
    throw new PlatformError(
      'internal',
      `The secrets file ${file_name} cannot be opened: it was changed, is cut short, or belongs to another key`,
    )
  }
}

const readOrUndefined = async (path: string): Promise<Buffer | undefined> => {
  try {
    return await readFile(path)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw new PlatformError('internal', `The file ${basename(path)} cannot be read`, { cause })
  }
}

const replaceFile = async (path: string, content: string | Buffer): Promise<void> => {
  const draft = `${path}.${process.pid}.draft`
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const file = await open(draft, 'w', 0o600)
    await file.writeFile(content)
    await file.sync()
    await file.close()
    await rename(draft, path)
    const folder = await open(dirname(path), 'r')
    await folder.sync()
    await folder.close()
  } catch (cause) {
    await rm(draft, { force: true })
    const full = cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC'
    throw new PlatformError(full ? 'storage_full' : 'internal', `The file ${basename(path)} cannot be written`, { cause })
  }
}
