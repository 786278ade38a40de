import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import { PlatformError } from '../core/contract/errors.ts'
import type { Mail } from '../core/ports/mail.ts'
import { checkedKey, mailOptions } from './message.ts'

/**
 * Mail for a machine without a mail server: every message is one `.eml` file (RFC 5322, CRLF) that any mail program opens.
 * Names sort by time. A file appears whole or not at all; a message with a key that lies there already is not written again.
 */
export const outboxMail = ({ dir, from }: { dir: string; from: string }): Mail => {
  const transport = createTransport({ streamTransport: true, buffer: true, newline: 'windows' })
  return {
    send: async (message) => {
      const info = await transport.sendMail(mailOptions(message, from))
      if (!Buffer.isBuffer(info.message)) throw new PlatformError('internal', 'The message was not rendered')
      const last = message.key === undefined ? randomUUID() : checkedKey(message.key)
      const is_there =
        message.key !== undefined && (await readdir(dir).catch(() => [])).some((name) => name.endsWith(`Z-${last}.eml`))
      if (!is_there) await writeWhole(dir, `${new Date().toISOString().replaceAll(':', '')}-${last}.eml`, info.message)
      return { message_id: info.messageId }
    },
  }
}

const writeWhole = async (dir: string, name: string, content: Buffer): Promise<void> => {
  const draft = join(dir, `.${randomUUID()}.draft`)
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await using file = await open(draft, 'wx', 0o600)
    await file.writeFile(content)
    await file.sync()
    await rename(draft, join(dir, name))
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => undefined)
    const full = cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC'
    throw new PlatformError(full ? 'storage_full' : 'internal', 'The message cannot be written to the outbox', { cause })
  }
}
