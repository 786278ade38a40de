import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { MailMessage } from '../../../layers/core/ports/mail.ts'
import { outboxMail } from '../../../layers/mail/outbox.ts'
import { smtpMail } from '../../../layers/mail/smtp.ts'
import { scratchFolder } from '../../support/identity.ts'
import { failure } from '../../support/records.ts'
import { smtpServer } from '../../support/smtp-server.ts'

const from = 'AI Deploy <aideploy@localhost>'
const message: MailMessage = {
  to: ['ada@example.com', 'bo@example.com'],
  subject: 'Budget überschritten',
  text: 'Line one\n.\nLine three',
  html: '<p>Line one</p>',
  attachments: [{ file_name: 'costs.csv', content_type: 'text/csv', content: new TextEncoder().encode('a,b\n1,2\n') }],
}

describe('the outbox', () => {
  it('keeps every message as a file that mail programs read', async () => {
    const dir = join(scratchFolder(), 'outbox')
    const mail = outboxMail({ dir, from })
    const { message_id } = await mail.send(message)
    await Promise.all(Array.from({ length: 5 }, () => mail.send(message)))
    const names = readdirSync(dir)
    expect(names).toHaveLength(6)
    expect(names.every((name) => /^2\d{3}-.*\.eml$/.test(name))).toBe(true)
    const texts = names.map((name) => readFileSync(join(dir, name), 'utf8'))
    const text = texts.find((each) => each.includes(message_id)) ?? ''
    expect(text).toMatch(/^From: AI Deploy <aideploy@localhost>\r$/m)
    expect(text).toMatch(/^To: ada@example\.com, bo@example\.com\r$/m)
    expect(text).toMatch(/^Subject: =\?UTF-8\?/m)
    expect(text).toMatch(/^Message-ID: <.+@.+>\r$/m)
    expect(text).toMatch(/^Date: /m)
    expect(text).toContain('multipart/alternative')
    expect(text).toContain(Buffer.from('a,b\n1,2\n').toString('base64'))
    expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
  })

  it('lets nobody add a header or read a file', async () => {
    const dir = join(scratchFolder(), 'outbox')
    const mail = outboxMail({ dir, from })
    await mail.send({ ...message, subject: 'Hello\r\nBcc: eve@example.com', to: ['ada@example.com\r\nBcc: eve@example.com'] })
    const [name = ''] = readdirSync(dir)
    expect(readFileSync(join(dir, name), 'utf8')).not.toMatch(/^Bcc:/m)
    await failure('invalid_request', mail.send({ ...message, to: [] }))
  })

  it('says so where it cannot write', async () => {
    const blocked = outboxMail({ dir: '/dev/null/outbox', from })
    await failure('internal', blocked.send(message))
  })
})

describe('mail by SMTP', () => {
  it('arrives whole, dots and all, with the credentials of the URL', async () => {
    const { port, commands, messages, stop } = await smtpServer({ auth: true })
    onTestFinished(stop)
    const mail = smtpMail({ url: `smtp://user%40example.com:p%2Fss@127.0.0.1:${port}`, from })
    const { message_id } = await mail.send(message)
    const plain = commands.find((command) => command.startsWith('AUTH PLAIN'))?.split(' ')[2] ?? ''
    expect(Buffer.from(plain, 'base64').toString('utf8')).toBe('\0user@example.com\0p/ss')
    expect(commands.filter((command) => command.startsWith('RCPT'))).toEqual([
      'RCPT TO:<ada@example.com>',
      'RCPT TO:<bo@example.com>',
    ])
    expect(messages).toHaveLength(1)
    expect(messages[0]).toContain(message_id)
    expect(messages[0]).toMatch(/^\.\.\r$/m)
  })

  it('fails with what the server said, never with the credentials', async () => {
    const canary = 'canary-5d1e'
    const encoded = Buffer.from(`\0me\0${canary}`).toString('base64')
    const refusals = ['AUTH', 'MAIL', 'RCPT', 'DATA'].map(async (refuse) => {
      const { port, stop } = await smtpServer({ refuse, auth: true })
      onTestFinished(stop)
      const error = await failure('unavailable', smtpMail({ url: `smtp://me:${canary}@127.0.0.1:${port}`, from }).send(message))
      expect(error.message).toMatch(/550/)
      return error
    })
    const gone = failure('unavailable', smtpMail({ url: `smtp://me:${canary}@127.0.0.1:1`, from }).send(message))
    for (const error of [...(await Promise.all(refusals)), await gone]) {
      const everything = `${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`
      expect(everything).not.toContain(canary)
      expect(everything).not.toContain(encoded)
    }
  })
})
