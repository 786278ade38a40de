import { randomUUID } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import { PlatformError } from '../core/contract/errors.ts'
import type { Mail } from '../core/ports/mail.ts'
import { mailOptions } from './message.ts'

/**
 * Mail for a machine without a mail server: every message is one `.eml` file (RFC 5322, CRLF) that any mail program opens.
 * Names sort by time. A file appears whole or not at all.
 */
export const outboxMail = ({ dir, from }: { dir: string; from: string }): Mail => {
  const transport = createTransport({ streamTransport: true, buffer: true, newline: 'windows' })
  return {
    send: async (message) => {
      const info = await transport.sendMail(mailOptions(message, from))
      if (!Buffer.isBuffer(info.message)) throw new PlatformError('internal', 'The message was not rendered')
      await writeWhole(dir, `${new Date().toISOString().replaceAll(':', '')}-${randomUUID()}.eml`, info.message)
      return { message_id: info.messageId }
    },
  }
}

const writeWhole = async (dir: string, name: string, content: Buffer): Promise<void> => {
  const draft = join(dir, `.${name}.draft`)
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
